import type { EntryVersion } from '../version/entry-version.js';

/** An entry of the first level: the decoded value, shared by all readers. */
export interface FirstLevelEntry<T> {
  readonly value: T | undefined;
  readonly version: EntryVersion;
  /** On the clock's monotonic scale. */
  readonly expiresAtMs: number;
  /** Roughly what it takes in memory: the size of its encoded form. */
  readonly bytes: number;
}

/** The bounds of a {@link FirstLevel}. */
export interface FirstLevelBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** How long an expired entry stays for {@link FirstLevel.lastKnown}, milliseconds. Default 0. */
  readonly failSafeMs?: number | undefined;
}

/** Of a slot in the map, the entry object and its version. */
const OVERHEAD_BYTES = 200;

/** The first level's storage: bounded, and the entry unused for longest leaves first. It knows no rules. */
export class FirstLevel<T> {
  // A Map iterates in the order of insertion: deleting and setting anew on use makes its first key the one unused for longest.
  readonly #entries = new Map<string, FirstLevelEntry<T>>();
  #evictions = 0;
  #bytes = 0;

  constructor(private readonly bounds: FirstLevelBounds) {}

  get size(): number {
    return this.#entries.size;
  }

  /** What keys and entries take, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Entries that left because it was full. */
  get evictions(): number {
    return this.#evictions;
  }

  /** A live entry; an expired one leaves, or stays behind as the last that is known. */
  use(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.expiresAtMs <= nowMs) {
      this.lastKnown(key, nowMs);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  /** An entry that is live, or was not so long ago; one that is too old leaves. */
  lastKnown(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.expiresAtMs + (this.bounds.failSafeMs ?? 0) <= nowMs) {
      this.drop(key);
      return undefined;
    }
    return entry;
  }

  /** What is there, expired or not, without counting as a use. */
  inspect(key: string): FirstLevelEntry<T> | undefined {
    return this.#entries.get(key);
  }

  put(key: string, entry: FirstLevelEntry<T>): void {
    this.drop(key);
    const bytes = bytesOf(key, entry);
    if (bytes > this.bounds.maxBytes) {
      // Everything else would leave for it, and it would leave for the next.
      this.#evictions++;
      return;
    }
    this.#entries.set(key, entry);
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.bounds.maxEntries && this.#bytes <= this.bounds.maxBytes) {
        break;
      }
      this.drop(oldest);
      this.#evictions++;
    }
  }

  drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#bytes -= bytesOf(key, entry);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}

function bytesOf(key: string, entry: FirstLevelEntry<unknown>): number {
  return OVERHEAD_BYTES + key.length + entry.bytes;
}
