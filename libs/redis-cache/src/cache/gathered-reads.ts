import type { CacheStore, StoredEntry } from '../store/cache.store.js';
import { Gathered } from '../store/gathered.js';

interface Read {
  readonly key: string;
  readonly resolve: (entry: StoredEntry | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Of one question. */
const MAX_TOGETHER = 128;

/** Reads that are asked for in one turn of the event loop leave as one question, where the store says that it {@link CacheStore.readsTogether}. */
export class GatheredReads {
  readonly #reads = new Gathered<Read>(MAX_TOGETHER, (reads) => this.#ask(reads));

  constructor(private readonly store: CacheStore) {}

  /** As {@link CacheStore.get}. */
  get(key: string): Promise<StoredEntry | undefined> {
    return this.store.readsTogether
      ? new Promise((resolve, reject) => this.#reads.add({ key, resolve, reject }))
      : this.store.get(key);
  }

  #ask(reads: readonly Read[]): void {
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
