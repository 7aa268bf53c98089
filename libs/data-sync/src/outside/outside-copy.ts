import type { Checkpoint, CheckpointKey } from '@smartpulse/cdc';
import { EntryVersion, type RecordStore } from '@smartpulse/redis-cache';
import type { Clock } from '@smartpulse/resilience';
import { checkpointText, keyParts, readCheckpoint, recordName } from './checkpoint-text.js';
import { placeOf } from './checkpoint-place.js';

/**
 * What is known of a database outside of it: its epoch, and how far each consumer has come. A database that is restored from a backup takes its own
 * positions back with its data; this copy stays, and so tells that there was more.
 *
 * @example
 * ```ts
 * const outside = new OutsideCopy(await openRecordStore({ url, prefix: 'shop' }), clock);
 * const database = EmbeddedDatabase.open({ name: 'shop', file, clock, outsideEpoch: await outside.epochOf('shop') });
 * await outside.noteEpoch('shop', database.epoch);
 * CdcModule.forRoot(withOutsideCopy(embeddedCdc(database), outside));
 * ```
 */
export class OutsideCopy {
  readonly #records: RecordStore;
  readonly #clock: Clock;

  /** @param records stay open: whoever opened them closes them, after the apps. */
  constructor(records: RecordStore, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** The highest epoch that was decided or noted for a source; `undefined` = none. */
  async epochOf(source: string): Promise<bigint | undefined> {
    return (await this.#records.get(epochName(source)))?.order.epoch;
  }

  /** The database is in this epoch, or beyond. */
  async noteEpoch(source: string, epoch: bigint): Promise<void> {
    await this.#records.put(epochName(source), epochRecord(epoch));
  }

  /**
   * Decides the epoch after `from`, by compare-and-set: of several that saw `from` one decides, and the others get what it became. The larger of `from` + 1 and the
   * clock's seconds.
   */
  async raiseEpoch(source: string, from: bigint): Promise<bigint> {
    const name = epochName(source);
    for (;;) {
      const stored = await this.#records.get(name);
      if (stored !== undefined && stored.order.epoch > from) {
        return stored.order.epoch;
      }
      const seconds = BigInt(Math.max(0, Math.floor(this.#clock.now() / 1_000)));
      const epoch = seconds > from ? seconds : from + 1n;
      const { outcome } = await this.#records.replace(name, stored?.order, epochRecord(epoch));
      if (outcome === 'stored') {
        return epoch;
      }
    }
  }

  /** The furthest position that was saved. @throws MalformedCheckpointError, or what the store throws. */
  async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    const stored = await this.#records.get(recordName('position', ...keyParts(key)));
    return stored === undefined ? undefined : readCheckpoint(stored.text);
  }

  /** Keeps a position unless a further one is there: an older holder changes nothing. Save it here after the database has it. */
  async save(checkpoint: Checkpoint): Promise<void> {
    await this.#records.put(recordName('position', ...keyParts(checkpoint)), {
      order: placeOf(checkpoint),
      text: checkpointText(checkpoint),
    });
  }
}

function epochName(source: string): string {
  return recordName('epoch', source);
}

function epochRecord(epoch: bigint): { readonly order: EntryVersion; readonly text: string } {
  return { order: new EntryVersion(epoch, 0n), text: '' };
}
