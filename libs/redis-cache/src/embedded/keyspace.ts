import type { Clock } from '@smartpulse/resilience';
import { CacheServerFullError } from '../redis-cache.errors.js';
import type { EntryState } from './entry.protocol.js';

interface Slot<P> {
  readonly state: EntryState<P>;
  readonly expiresAtMs: number;
  readonly bytes: number;
  /** The part of the keyspace that the key belongs to, as long as it is there. */
  readonly part: Set<string>;
}

/** What happens when the embedded server is full: the key unused for longest is forgotten, or the write is refused. */
export type WhenFull = 'evict' | 'refuse';

/** The bounds of a {@link Keyspace}. */
export interface KeyspaceBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly whenFull: WhenFull;
}

const OVERHEAD_BYTES = 96;
const PARTS = 1_024;

/** Keys with their states and lives; bounded by entries and bytes, of which `sizeOf` says how many a value takes. */
export class Keyspace<P> {
  // Iterates from the key unused for longest: use and write set a key anew.
  readonly #slots = new Map<string, Slot<P>>();
  // For scans: a key stays in the part in which it began, however often it is used or written.
  readonly #parts: Set<string>[] = [];
  #created = 0;
  #bytes = 0;
  #evicted = 0;

  constructor(
    private readonly bounds: KeyspaceBounds,
    private readonly clock: Clock,
    private readonly sizeOf: (payload: P) => number,
  ) {}

  get size(): number {
    return this.#slots.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keys forgotten because there was no room. */
  get evicted(): number {
    return this.#evicted;
  }

  /** The live state of a key and what is left of its life. */
  read(key: string): { readonly state: EntryState<P>; readonly ttlMs: number } | undefined {
    const slot = this.#live(key);
    if (slot === undefined) {
      return undefined;
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    return { state: slot.state, ttlMs: slot.expiresAtMs - this.clock.monotonic() };
  }

  /** The live state of a key, without counting as a use. */
  inspect(key: string): EntryState<P> | undefined {
    return this.#live(key)?.state;
  }

  /** @throws {@link CacheServerFullError} when there is no room and the policy is to refuse. */
  write(key: string, state: EntryState<P>, ttlMs: number): void {
    const bytes = OVERHEAD_BYTES + key.length * 2 + (state.kind === 'value' ? this.sizeOf(state.payload) : 0);
    const before = this.#slots.get(key);
    const grown = this.#bytes - (before?.bytes ?? 0) + bytes;
    const entries = this.#slots.size + (before === undefined ? 1 : 0);
    if (this.bounds.whenFull === 'refuse' || bytes > this.bounds.maxBytes) {
      if (entries > this.bounds.maxEntries) {
        throw new CacheServerFullError('maxEntries');
      }
      if (grown > this.bounds.maxBytes) {
        throw new CacheServerFullError('maxBytes');
      }
    }
    this.#slots.delete(key);
    const part = before?.part ?? this.#nextPart();
    part.add(key);
    this.#slots.set(key, { state, expiresAtMs: this.clock.monotonic() + ttlMs, bytes, part });
    this.#bytes = grown;
    this.#makeRoom();
  }

  remove(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      this.#slots.delete(key);
      slot.part.delete(key);
      this.#bytes -= slot.bytes;
    }
  }

  clear(): void {
    this.#slots.clear();
    this.#parts.forEach((part) => part.clear());
    this.#bytes = 0;
  }

  /**
   * Some keys, about `limit` of them, from where the call before stopped (0 = the beginning). Who goes on until `next` is `undefined` has met every key
   * that was there all the time.
   */
  scan(from: number, limit: number): { readonly keys: readonly string[]; readonly next: number | undefined } {
    const keys: string[] = [];
    let next = from;
    while (next < PARTS && keys.length < limit) {
      keys.push(...(this.#parts[next++] ?? []));
    }
    return { keys, next: next < PARTS ? next : undefined };
  }

  #nextPart(): Set<string> {
    return (this.#parts[this.#created++ % PARTS] ??= new Set());
  }

  #live(key: string): Slot<P> | undefined {
    const slot = this.#slots.get(key);
    if (slot !== undefined && slot.expiresAtMs <= this.clock.monotonic()) {
      this.remove(key);
      return undefined;
    }
    return slot;
  }

  #makeRoom(): void {
    for (const key of this.#slots.keys()) {
      if (this.#slots.size <= this.bounds.maxEntries && this.#bytes <= this.bounds.maxBytes) {
        return;
      }
      this.remove(key);
      this.#evicted++;
    }
  }
}
