import {
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type SaveOutcome,
} from '../checkpoint/checkpoint.store.js';

/** Positions in memory, for tests; gone with the object. */
export class InMemoryCheckpointStore extends CheckpointStore {
  override readonly durable = false;
  readonly #stored = new Map<string, { readonly checkpoint: Checkpoint; readonly fence: bigint }>();

  override async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    return this.#stored.get(nameOf(key))?.checkpoint;
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const name = nameOf(checkpoint);
    const stored = this.#stored.get(name);
    if (stored !== undefined && fence < stored.fence) {
      return 'fenced';
    }
    this.#stored.set(name, { checkpoint: structuredClone(checkpoint), fence });
    return 'saved';
  }
}

function nameOf({ consumer, source, table }: CheckpointKey): string {
  return JSON.stringify([consumer, source, table]);
}
