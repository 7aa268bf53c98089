import {
  CachePayloadTooLargeError,
  CacheTooManyFieldsError,
  CacheValueNotEncodableError,
  type ChangeOutcome,
  EntryVersion,
  type FieldChange,
  type VersionedCache,
  type VersionedFieldsCache,
} from '@smartpulse/redis-cache';
import { RowNotReadableError } from '../data-sync.errors.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import type { ChangeEnvelope, EnvelopeChange } from '../envelope/change-envelope.js';
import { readKey, readValue, unreadable } from './row-value.js';

/** The cache of hashes that a sync keeps right. */
export type FieldsOfSync = Pick<VersionedFieldsCache<unknown>, 'setFields'>;

/** What {@link FieldChanges} work with. */
export interface FieldChangesParts {
  readonly sync: SyncDefinition;
  /** The hashes as wholes. */
  readonly cache: Pick<VersionedCache<unknown>, 'invalidate'>;
  readonly fields: FieldsOfSync;
  /** The key of a change; it counts those that the publisher made differently. @throws {@link RowNotReadableError} */
  keyOf(envelope: ChangeEnvelope, change: EnvelopeChange): string;
  count(outcome: ChangeOutcome): void;
}

/** Of one key: fields to write, and the highest stamp of what cannot be told by a field. */
interface KeyWork {
  readonly fields: Map<string, FieldChange<unknown>>;
  invalidate: EntryVersion | undefined;
}

/** The changes of an envelope as fields of hashes: each key is one step, each field compared by its own stamp. */
export class FieldChanges {
  constructor(private readonly parts: FieldChangesParts) {}

  /** One change that cannot be read holds up none of the others: the first such error is answered after all of them. */
  async apply(envelope: ChangeEnvelope): Promise<Error | undefined> {
    const work = new Map<string, KeyWork>();
    let refused: Error | undefined;
    for (const change of envelope.changes) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other: a schema may be asynchronous, and nothing is to be gained
        await this.#add(work, envelope, change);
      } catch (error) {
        refused ??= unreadable(error);
      }
    }
    for (const [key, { fields, invalidate }] of work) {
      if (invalidate !== undefined) {
        this.parts.count(await this.parts.cache.invalidate(key, invalidate));
      }
      const error = await this.#write(key, fields);
      refused ??= error;
    }
    return refused;
  }

  async #add(work: Map<string, KeyWork>, envelope: ChangeEnvelope, change: EnvelopeChange): Promise<void> {
    const { sync } = this.parts;
    const key = this.parts.keyOf(envelope, change);
    const version = new EntryVersion(BigInt(envelope.epoch), BigInt(change.version));
    const of: KeyWork = work.get(key) ?? { fields: new Map(), invalidate: undefined };
    work.set(key, of);
    const whole = (): void => {
      of.invalidate = EntryVersion.max(version, of.invalidate ?? version);
    };
    try {
      const name = readKey(sync, change, 'field');
      if (change.op !== 'delete' && change.row === null) {
        whole();
        return;
      }
      const value = change.row === null || change.op === 'delete' ? undefined : await readValue(sync, change.row);
      const before = of.fields.get(name);
      if (before === undefined || before.version.compare(version) < 0) {
        of.fields.set(name, { value, version });
      }
    } catch (error) {
      // Which field it is, or what it holds, is not known: the hash is loaded anew.
      whole();
      throw error;
    }
  }

  async #write(key: string, fields: ReadonlyMap<string, FieldChange<unknown>>): Promise<Error | undefined> {
    if (fields.size === 0) {
      return undefined;
    }
    const { sync, cache } = this.parts;
    try {
      const { fields: outcomes } = await this.parts.fields.setFields(key, Object.fromEntries(fields));
      for (const outcome of Object.values(outcomes)) {
        // Nothing is held where not all or nothing is asked for.
        this.parts.count(outcome === 'held' ? 'stale' : outcome);
      }
      return undefined;
    } catch (error) {
      const encodable = !CacheValueNotEncodableError.is(error);
      if (encodable && !CachePayloadTooLargeError.is(error) && !CacheTooManyFieldsError.is(error)) {
        return unreadable(error);
      }
      if (fields.size > 1) {
        return await this.#writeEach(key, fields);
      }
      const [{ version } = { version: EntryVersion.ZERO }] = fields.values();
      // Too large: nothing is lost, readers load it, and the cache answers without storing.
      this.parts.count(await cache.invalidate(key, version));
      return encodable ? undefined : new RowNotReadableError(sync.contract.name, 'its value cannot be encoded', error);
    }
  }

  /** One of them cannot be written: the others can. */
  async #writeEach(key: string, fields: ReadonlyMap<string, FieldChange<unknown>>): Promise<Error | undefined> {
    let refused: Error | undefined;
    for (const field of fields) {
      const error = await this.#write(key, new Map([field]));
      refused ??= error;
    }
    return refused;
  }
}
