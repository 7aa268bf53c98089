import { Logger } from '@nestjs/common';
import { deadLetter, type IncomingMessage, type Settlement } from '@smartpulse/pulsar';
import {
  CachePayloadTooLargeError,
  CacheValueNotEncodableError,
  type ChangeOutcome,
  EntryVersion,
  InvalidCacheKeyError,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import type { Clock } from '@smartpulse/resilience';
import { RowNotReadableError, UntrustedStampError } from '../data-sync.errors.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import type { ChangeEnvelope, EnvelopeChange } from '../envelope/change-envelope.js';
import { type PropertyStamp, readPropertyStamp } from '../envelope/envelope-properties.js';
import { toEntryVersion } from '../read/entry-version.mapping.js';
import { LagHistogram, type LagSnapshot } from '../supervise/lag.histogram.js';
import { type ApplyCounts, type ApplyStats, emptyApplyCounts } from './apply.stats.js';
import { FieldChanges, type FieldsOfSync } from './field-changes.js';
import { readKey, readValue, unreadable } from './row-value.js';
import { SettledPositions } from './settled-positions.js';
import type { StampTrust } from './stamp.trust.js';

/** What an applier works with. */
export interface ChangeApplierParts {
  readonly sync: SyncDefinition;
  readonly cache: Pick<VersionedCache<unknown>, 'refresh' | 'invalidate' | 'evict' | 'sweep'>;
  readonly trust: StampTrust;
  readonly clock: Clock;
  /** The name of the source that the stamps are born in. */
  readonly source: string;
  /** The same cache by its fields; only in shape `fields`. */
  readonly fields?: FieldsOfSync | undefined;
  /** `false`: loaders read their stamp in an earlier statement, so a row that a change brings may be older than what they stored. */
  readonly refreshes: boolean;
}

const COUNTED: Readonly<Record<ChangeOutcome, keyof ApplyCounts>> = Object.freeze({
  applied: 'applied',
  stale: 'stale',
  duplicate: 'duplicates',
  absent: 'absent',
  deferred: 'deferred',
});

/**
 * Keeps one cache right by the changes of one table: refreshes (shape `row`), writes fields (`fields`) or invalidates (`aggregate`) with each change's stamp.
 * In whatever order and however often envelopes come, nothing is created and nothing newer is replaced: the cache compares.
 */
export class ChangeApplier {
  readonly #logger = new Logger(ChangeApplier.name);
  readonly #parts: ChangeApplierParts;
  readonly #counts = emptyApplyCounts();
  readonly #lag = new LagHistogram();
  readonly #settled = new SettledPositions();
  /** `undefined`: changes are not told by fields. */
  readonly #fields: FieldChanges | undefined;

  constructor(parts: ChangeApplierParts) {
    this.#parts = parts;
    const { sync, cache, fields, refreshes } = parts;
    this.#fields =
      fields === undefined || !refreshes
        ? undefined
        : new FieldChanges({
            sync,
            cache,
            fields,
            keyOf: (envelope, change) => this.#keyOf(envelope, change),
            count: (outcome) => this.#count(outcome),
          });
  }

  /** Counts since the app began. */
  get stats(): ApplyStats {
    return { ...this.#counts, questions: this.#parts.trust.questions };
  }

  /** Commit to cache, of changes whose source tells the commit time; snapshot rows left out. */
  get lag(): LagSnapshot {
    return this.#lag.snapshot();
  }

  /** Whether everything up to this place of the feed is settled, as far as this replica sees it. */
  covers(fence: string, seq: string): boolean {
    return this.#settled.covers(BigInt(fence), BigInt(seq));
  }

  /**
   * Handles one envelope; nothing answered = done.
   *
   * @throws `CacheStoreUnavailableError`, `StampSourceSilentError`: outages, no fault of the envelope.
   */
  async handle(envelope: ChangeEnvelope): Promise<Settlement | undefined> {
    const settlement = await this.#dispatch(envelope);
    this.#counts.delivered++;
    // A dead-lettered envelope is as settled as an applied one: its key is invalidated before it is acknowledged.
    this.#settled.settle(BigInt(envelope.fence), BigInt(envelope.seq));
    return settlement;
  }

  /**
   * After the dead letter is stored: what the message concerned is invalidated by the stamp in its properties, or evicted where that
   * cannot be read or trusted; of a resync, everything.
   */
  async deadLettered(message: IncomingMessage): Promise<void> {
    this.#counts.deadLettered++;
    const told = readPropertyStamp(message.properties, message.key);
    const { key, stamp } = told;
    if (key === undefined) {
      if (told.kind === 'resync' && told.table === this.#parts.sync.table) {
        await this.#sweepUnread(told);
        return;
      }
      this.#logger.error(
        `A message on ${message.topic} was dead-lettered and tells no key: nothing could be invalidated.`,
      );
      return;
    }
    try {
      const verdict = stamp === undefined ? undefined : await this.#parts.trust.judge(stamp);
      if (stamp === undefined || verdict?.kind === 'beyond') {
        await this.#parts.cache.evict(key);
      } else {
        this.#count(await this.#parts.cache.invalidate(key, toEntryVersion(stamp)));
      }
    } catch (error) {
      if (!InvalidCacheKeyError.is(error)) {
        throw error;
      }
      this.#logger.error(
        `A message on ${message.topic} was dead-lettered and its key is none of ours: ${error.message}`,
      );
    }
  }

  async #dispatch(envelope: ChangeEnvelope): Promise<Settlement | undefined> {
    const { sync, source } = this.#parts;
    if (envelope.table !== sync.table || envelope.source !== source) {
      return deadLetter(`the envelope is of another table or source than the sync "${sync.contract.name}"`);
    }
    const concernsKeys = envelope.kind === 'change' || envelope.kind === 'resync';
    return concernsKeys ? await this.#judged(envelope) : undefined;
  }

  async #judged(envelope: ChangeEnvelope): Promise<Settlement | undefined> {
    const stamp = { epoch: BigInt(envelope.epoch), version: BigInt(envelope.version) };
    const verdict = await this.#parts.trust.judge(stamp);
    if (verdict.kind === 'outdated') {
      this.#counts.outdated++;
      return undefined;
    }
    if (verdict.kind === 'beyond') {
      this.#counts.untrusted++;
      const { current } = verdict;
      const error = new UntrustedStampError(
        envelope.source,
        `${stamp.epoch}.${stamp.version}`,
        `${current.epoch}.${current.version}`,
      );
      this.#logger.error(error.message);
      return deadLetter(error.message);
    }
    if (envelope.kind === 'change') {
      return await this.#apply(envelope);
    }
    await this.#resync(envelope);
    return undefined;
  }

  async #apply(envelope: ChangeEnvelope): Promise<Settlement | undefined> {
    this.#counts.keysOnly += envelope.keysOnly ? 1 : 0;
    const refused = await this.#applyByShape(envelope);
    if (refused !== undefined) {
      this.#logger.error(refused.message);
      return deadLetter(refused.message);
    }
    this.#measure(envelope);
    return undefined;
  }

  #applyByShape(envelope: ChangeEnvelope): Promise<Error | undefined> {
    if (this.#fields !== undefined) {
      return this.#fields.apply(envelope);
    }
    return this.#parts.sync.shape === 'row' ? this.#applyRows(envelope) : this.#invalidateKeys(envelope);
  }

  /** One change that cannot be read holds up none of the others: the first such error is answered after all of them. */
  async #applyRows(envelope: ChangeEnvelope): Promise<Error | undefined> {
    let refused: Error | undefined;
    for (const change of envelope.changes) {
      try {
        await this.#applyRow(envelope, change);
      } catch (error) {
        refused ??= unreadable(error);
      }
    }
    return refused;
  }

  async #applyRow(envelope: ChangeEnvelope, change: EnvelopeChange): Promise<void> {
    const { cache, refreshes } = this.#parts;
    const key = this.#keyOf(envelope, change);
    const version = new EntryVersion(BigInt(envelope.epoch), BigInt(change.version));
    if (change.op === 'delete' || change.row === null || !refreshes) {
      this.#count(await cache.invalidate(key, version));
      return;
    }
    try {
      this.#count(await this.#refresh(key, change.row, version));
    } catch (error) {
      if (RowNotReadableError.is(error)) {
        // The dead letter tells the publisher's key, and ours may be another one.
        this.#count(await cache.invalidate(key, version));
      }
      throw error;
    }
  }

  async #refresh(key: string, wire: NonNullable<EnvelopeChange['row']>, version: EntryVersion): Promise<ChangeOutcome> {
    const { sync, cache } = this.#parts;
    const value = await readValue(sync, wire);
    try {
      return await cache.refresh(key, value, version);
    } catch (error) {
      if (CacheValueNotEncodableError.is(error)) {
        throw new RowNotReadableError(sync.contract.name, 'its value cannot be encoded', error);
      }
      if (CachePayloadTooLargeError.is(error)) {
        // Nothing is lost: readers load it, and the cache answers without storing.
        return await cache.invalidate(key, version);
      }
      throw error;
    }
  }

  /** The app's own key function decides, not the publisher's: readers of this app ask by it. */
  async #invalidateKeys(envelope: ChangeEnvelope): Promise<Error | undefined> {
    const versions = new Map<string, EntryVersion>();
    let refused: Error | undefined;
    for (const change of envelope.changes) {
      try {
        const key = this.#keyOf(envelope, change);
        const version = new EntryVersion(BigInt(envelope.epoch), BigInt(change.version));
        versions.set(key, EntryVersion.max(version, versions.get(key) ?? version));
      } catch (error) {
        refused ??= unreadable(error);
      }
    }
    for (const [key, version] of versions) {
      this.#count(await this.#parts.cache.invalidate(key, version));
    }
    return refused;
  }

  #keyOf(envelope: ChangeEnvelope, change: EnvelopeChange): string {
    const key = readKey(this.#parts.sync, change, 'key');
    this.#counts.rekeyed += key === envelope.key ? 0 : 1;
    return key;
  }

  /**
   * Rows that were deleted while nobody watched come in no change, and a truncate does not even move the version: an entry of the very stamp at
   * which the table is read anew may hold rows that are gone. So everything stamped at or below it goes, whichever replica loaded it.
   */
  async #resync(envelope: ChangeEnvelope): Promise<void> {
    if (envelope.resync?.state === 'started') {
      await this.#sweep(new EntryVersion(BigInt(envelope.epoch), BigInt(envelope.version)));
    }
  }

  /** A resync that cannot be read or believed: everything up to its stamp goes, or up to what the source is at now. */
  async #sweepUnread({ stamp }: PropertyStamp): Promise<void> {
    const { trust } = this.#parts;
    const verdict = stamp === undefined ? undefined : await trust.judge(stamp);
    const believed = stamp !== undefined && verdict?.kind !== 'beyond';
    await this.#sweep(toEntryVersion(believed ? stamp : await trust.current()));
  }

  async #sweep(version: EntryVersion): Promise<void> {
    this.#counts.swept += await this.#parts.cache.sweep(version);
  }

  #measure(envelope: ChangeEnvelope): void {
    if (envelope.committedAt !== null && envelope.changes.some(({ op }) => op !== 'snapshot')) {
      this.#lag.record(this.#parts.clock.now() - Date.parse(envelope.committedAt));
    }
  }

  #count(outcome: ChangeOutcome): void {
    this.#counts[COUNTED[outcome]]++;
  }
}
