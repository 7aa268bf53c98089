import { type Checkpoint, type CheckpointKey, CheckpointStore, type SaveOutcome } from '@smartpulse/cdc';
import { EntryVersion, type RecordStore } from '@smartpulse/redis-cache';
import { checkpointText, keyParts, readCheckpoint, recordName } from './checkpoint-text.js';

/**
 * Positions in a {@link RecordStore}, fenced: for a source that nothing may be written to. Where positions can lie in the database, they roll back with
 * its data: keep them there, and a copy elsewhere, with {@link withOutsideCopy}.
 *
 * @example
 * ```ts
 * const records = await openRecordStore({ url: 'redis://cache:6379', prefix: 'shop' });
 * CdcModule.forRoot({ ...parts, checkpoints: new RecordCheckpointStore(records) });
 * ```
 */
export class RecordCheckpointStore extends CheckpointStore {
  readonly #records: RecordStore;

  constructor(records: RecordStore) {
    super();
    this.#records = records;
  }

  override get durable(): boolean {
    return this.#records.durable;
  }

  /** @throws MalformedCheckpointError, or what the store throws. */
  override async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    const stored = await this.#records.get(recordName('checkpoint', ...keyParts(key)));
    return stored === undefined ? undefined : readCheckpoint(stored.text);
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const name = recordName('checkpoint', ...keyParts(checkpoint));
    const { outcome } = await this.#records.put(name, {
      order: new EntryVersion(0n, fence),
      text: checkpointText(checkpoint),
    });
    return outcome === 'stored' ? 'saved' : 'fenced';
  }
}
