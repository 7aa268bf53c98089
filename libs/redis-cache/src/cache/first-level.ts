import type { TagStamp } from './tags/tag-stamp.js';
import type { EntryVersion } from '../version/entry-version.js';

/** An entry of the first level: the decoded value, shared by all readers. */
export interface FirstLevelEntry<T> {
  readonly value: T | undefined;
  readonly version: EntryVersion;
  /** On the clock's monotonic scale. */
  readonly expiresAtMs: number;
  /** From when on a reader has it loaded anew; `undefined`: never. Who has tried in vain sets it so. */
  refreshAtMs?: number | undefined;
  /** It holds as long as these do. */
  readonly tags?: readonly TagStamp[] | undefined;
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

interface Slot<T> {
  readonly entry: FirstLevelEntry<T>;
  readonly bytes: number;
  /** Since it was put, or was last spared. */
  used: boolean;
}

/**
 * The first level's storage: bounded; what was put first leaves first, unless it was used since: then it is spared once more (the clock algorithm, also called
 * second chance). A hit writes one flag and moves nothing, which is why it is not ordered by its last use. It knows no rules.
 */
export class FirstLevel<T> {
  // A Map iterates in the order of insertion: its first key is where the hand of the clock stands.
  readonly #slots = new Map<string, Slot<T>>();
  #evictions = 0;
  #bytes = 0;

  constructor(private readonly bounds: FirstLevelBounds) {}

  get size(): number {
    return this.#slots.size;
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
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    if (slot.entry.expiresAtMs <= nowMs) {
      this.lastKnown(key, nowMs);
      return undefined;
    }
    slot.used = true;
    return slot.entry;
  }

  /** An entry that is live, or was not so long ago; one that is too old leaves. */
  lastKnown(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    const entry = this.inspect(key);
    if (entry !== undefined && entry.expiresAtMs + (this.bounds.failSafeMs ?? 0) <= nowMs) {
      this.drop(key);
      return undefined;
    }
    return entry;
  }

  /** What is there, expired or not, without counting as a use. */
  inspect(key: string): FirstLevelEntry<T> | undefined {
    return this.#slots.get(key)?.entry;
  }

  put(key: string, entry: FirstLevelEntry<T>): void {
    this.drop(key);
    const bytes = OVERHEAD_BYTES + key.length + entry.bytes;
    if (bytes > this.bounds.maxBytes) {
      // Everything else would leave for it, and it would leave for the next.
      this.#evictions++;
      return;
    }
    this.#makeRoom(bytes);
    this.#slots.set(key, { entry, bytes, used: false });
    this.#bytes += bytes;
  }

  drop(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      this.#slots.delete(key);
      this.#bytes -= slot.bytes;
    }
  }

  clear(): void {
    this.#slots.clear();
    this.#bytes = 0;
  }

  /** Goes round until there is room; what is spared goes to the end, so that one round at most is gone in vain. */
  #makeRoom(bytes: number): void {
    const { maxBytes, maxEntries } = this.bounds;
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size < maxEntries && this.#bytes + bytes <= maxBytes) {
        return;
      }
      this.#slots.delete(key);
      if (slot.used) {
        slot.used = false;
        this.#slots.set(key, slot);
      } else {
        this.#bytes -= slot.bytes;
        this.#evictions++;
      }
    }
  }
}
