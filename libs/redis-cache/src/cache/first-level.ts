import type { EntryVersion } from '../version/entry-version.js';

/** An entry of the first level: the decoded value, shared by all readers. */
export interface FirstLevelEntry<T> {
  readonly value: T | undefined;
  readonly version: EntryVersion;
  /** On the clock's monotonic scale. */
  readonly expiresAtMs: number;
}

/** The first level's storage: bounded, and the entry unused for longest leaves first. It knows no rules. */
export class FirstLevel<T> {
  // A Map iterates in the order of insertion: deleting and setting anew on use makes its first key the one unused for longest.
  readonly #entries = new Map<string, FirstLevelEntry<T>>();
  #evictions = 0;

  constructor(private readonly maxEntries: number) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Entries that left because it was full. */
  get evictions(): number {
    return this.#evictions;
  }

  /** A live entry; an expired one leaves. */
  use(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    this.#entries.delete(key);
    if (entry.expiresAtMs <= nowMs) {
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry;
  }

  /** What is there, expired or not, without counting as a use. */
  inspect(key: string): FirstLevelEntry<T> | undefined {
    return this.#entries.get(key);
  }

  put(key: string, entry: FirstLevelEntry<T>): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > this.maxEntries) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) {
        this.#entries.delete(oldest.value);
        this.#evictions++;
      }
    }
  }

  drop(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
