import { Logger } from '@nestjs/common';
import type { ChangeVersion } from '@smartpulse/cdc';
import { deadLetter, type PulsarContext, type Settlement } from '@smartpulse/pulsar';
import { RowNotReadableError } from '../data-sync.errors.js';
import type { ChangeContract } from '../definition/change-contract.js';
import type { ChangeEnvelope, EnvelopeChange } from '../envelope/change-envelope.js';
import { ENVELOPE_PROPERTIES } from '../envelope/envelope-properties.js';
import { parseRow } from '../envelope/row-parser.js';
import { primaryKeyText } from '../envelope/wire-value.js';
import type { ChangeFeedStats } from './change-feed.stats.js';
import { HandledStamps } from './handled-stamps.js';
import type { FeedResync, KeyChange, KeyChanges } from './key-changes.js';

/** What a feed calls. */
export interface ChangeFeedParts {
  readonly contract: ChangeContract;
  /** For the log. */
  readonly subscription: string;
  readonly snapshots: boolean;
  readonly handledKeys: number;
  readonly onChange: (changes: KeyChanges) => Promise<void> | void;
  readonly onResync: readonly ((event: FeedResync) => Promise<void> | void)[];
}

/** Turns the envelopes of one subscription into calls of one handler: per primary key never an older change after a newer one. */
export class ChangeFeed {
  readonly #logger = new Logger(ChangeFeed.name);
  readonly #parts: ChangeFeedParts;
  readonly #handled: HandledStamps;
  readonly #counts = { delivered: 0, handled: 0, removed: 0, snapshotsLeftOut: 0, invalid: 0, resyncs: 0 };

  constructor(parts: ChangeFeedParts) {
    this.#parts = parts;
    this.#handled = new HandledStamps(parts.handledKeys);
  }

  /** Counts since the app began. */
  get stats(): ChangeFeedStats {
    return { ...this.#counts };
  }

  /**
   * Handles one envelope; nothing answered = done.
   *
   * @throws what the handler throws: the envelope comes again.
   */
  async handle(envelope: ChangeEnvelope, context: PulsarContext): Promise<Settlement | undefined> {
    this.#counts.delivered++;
    if (envelope.kind === 'change') {
      return await this.#change(envelope, context);
    }
    if (envelope.kind === 'resync') {
      await this.#resync(envelope, context);
    }
    return undefined;
  }

  async #change(envelope: ChangeEnvelope, context: PulsarContext): Promise<Settlement | undefined> {
    const wanted = envelope.changes.filter((change) => this.#isWanted(envelope, change));
    if (wanted.length === 0) {
      return undefined;
    }
    let changes: readonly KeyChange[];
    try {
      changes = await Promise.all(wanted.map((change) => this.#read(envelope, change)));
    } catch (error) {
      if (!RowNotReadableError.is(error)) {
        throw error;
      }
      this.#counts.invalid++;
      this.#logger.error(`${this.#parts.subscription}: ${error.message}`);
      return deadLetter(error.message);
    }
    await this.#parts.onChange({
      key: envelope.key ?? '',
      source: envelope.source,
      table: envelope.table,
      stamp: changes.reduce(
        (top, { version }) => (version.version > top.version ? version : top),
        stampOf(envelope, '0'),
      ),
      changes,
      keysOnly: envelope.keysOnly,
      origin: envelope.origin,
      traceparent: context.properties[ENVELOPE_PROPERTIES.trace] ?? null,
      committedAt: envelope.committedAt,
      context,
    });
    this.#counts.handled++;
    for (const change of wanted) {
      this.#handled.remember(this.#identity(envelope, change), stampOf(envelope, change.version));
    }
    return undefined;
  }

  #isWanted(envelope: ChangeEnvelope, change: EnvelopeChange): boolean {
    if (change.op === 'snapshot' && !this.#parts.snapshots) {
      this.#counts.snapshotsLeftOut++;
      return false;
    }
    if (this.#handled.isBelow(this.#identity(envelope, change), stampOf(envelope, change.version))) {
      this.#counts.removed++;
      return false;
    }
    return true;
  }

  /** (source, table, pk): versions of two databases are not comparable. */
  #identity(envelope: ChangeEnvelope, change: EnvelopeChange): string {
    return `${envelope.source} ${envelope.table} ${primaryKeyText(this.#parts.contract.primaryKey, change.pk)}`;
  }

  async #read(envelope: ChangeEnvelope, change: EnvelopeChange): Promise<KeyChange> {
    return {
      pk: change.pk,
      op: change.op,
      version: stampOf(envelope, change.version),
      columns: change.columns,
      row: change.row === null ? null : await parseRow(this.#parts.contract, change.row),
    };
  }

  async #resync(envelope: ChangeEnvelope, context: PulsarContext): Promise<void> {
    const { contract, subscription, onResync } = this.#parts;
    if (envelope.resync === null) {
      return;
    }
    this.#counts.resyncs++;
    const { state, reason } = envelope.resync;
    const event: FeedResync = {
      source: envelope.source,
      table: envelope.table,
      state,
      reason,
      stamp: stampOf(envelope, envelope.version),
      context,
    };
    if (onResync.length === 0) {
      this.#logger.log(
        `${subscription}: resync of "${contract.name}" ${state} (${reason}); no @OnResync method listens.`,
      );
    }
    for (const listener of onResync) {
      await listener(event);
    }
  }
}

function stampOf(envelope: ChangeEnvelope, version: string): ChangeVersion {
  return { epoch: BigInt(envelope.epoch), version: BigInt(version) };
}
