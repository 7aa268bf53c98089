import type { Clock } from '@smartpulse/resilience';
import { CacheServerFullError } from '../redis-cache.errors.js';
import type { EntryState } from './entry.protocol.js';

interface Slot {
  readonly state: EntryState;
  readonly expiresAtMs: number;
  readonly bytes: number;
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

/** Keys with their states and lives; bounded by entries and bytes. */
export class Keyspace {
  // Iterates from the key unused for longest: use and write set a key anew.
  readonly #slots = new Map<string, Slot>();
  #bytes = 0;
  #evicted = 0;

  constructor(
    private readonly bounds: KeyspaceBounds,
    private readonly clock: Clock,
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
  read(key: string): { readonly state: EntryState; readonly ttlMs: number } | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    const ttlMs = slot.expiresAtMs - this.clock.monotonic();
    if (ttlMs <= 0) {
      this.remove(key);
      return undefined;
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    return { state: slot.state, ttlMs };
  }

  /** @throws {@link CacheServerFullError} when there is no room and the policy is to refuse. */
  write(key: string, state: EntryState, ttlMs: number): void {
    const bytes = OVERHEAD_BYTES + key.length * 2 + (state.kind === 'value' ? state.payload.length * 2 : 0);
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
    this.#slots.set(key, { state, expiresAtMs: this.clock.monotonic() + ttlMs, bytes });
    this.#bytes = grown;
    this.#makeRoom();
  }

  remove(key: string): void {
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
