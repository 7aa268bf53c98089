import type { CacheStore, StoredEntry } from '../store/cache.store.js';

interface Read {
  readonly key: string;
  readonly resolve: (entry: StoredEntry | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Of one question: more would only make the first wait for the last. */
const MAX_TOGETHER = 128;

/**
 * Reads that are asked for in one turn of the event loop leave as one question, where the store says that it {@link CacheStore.readsTogether}: a deadline, a
 * circuit and a command cost as much as the rest of a read, and are paid once for all of them. A read on its own waits for the end of the turn only.
 */
export class GatheredReads {
  #reads: Read[] = [];

  constructor(private readonly store: CacheStore) {}

  /** As {@link CacheStore.get}. */
  get(key: string): Promise<StoredEntry | undefined> {
    if (!this.store.readsTogether) {
      return this.store.get(key);
    }
    return new Promise((resolve, reject) => {
      const reads = this.#reads;
      if (reads.push({ key, resolve, reject }) === 1) {
        setImmediate(() => this.#ask(reads));
      } else if (reads.length === MAX_TOGETHER) {
        this.#ask(reads);
      }
    });
  }

  /** Does nothing when they were asked for already. */
  #ask(reads: Read[]): void {
    if (reads !== this.#reads) {
      return;
    }
    this.#reads = [];
    const [first] = reads;
    if (first !== undefined && reads.length === 1) {
      this.store.get(first.key).then(first.resolve, first.reject);
      return;
    }
    this.store.getMany(reads.map(({ key }) => key)).then(
      (entries) => reads.forEach(({ resolve }, index) => resolve(entries[index])),
      (error: unknown) => reads.forEach(({ reject }) => reject(error)),
    );
  }
}
