import type { Clock, Random } from '@smartpulse/resilience';
import { type DedupeClaim, DedupeStore } from './dedupe.store.js';

interface Entry {
  readonly token: string;
  readonly done: boolean;
  readonly untilMs: number;
}

/** The options of {@link MemoryDedupeStore}. */
export interface MemoryDedupeStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Keys that are kept; beyond, the oldest is forgotten, and its message could be handled again. Default 100,000. */
  readonly maxKeys?: number | undefined;
}

const DEFAULT_MAX_KEYS = 100_000;

/** Remembers in this process: enough against redeliveries within its life, for one replica. */
export class MemoryDedupeStore extends DedupeStore {
  readonly durable = false;
  readonly shared = false;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #maxKeys: number;
  readonly #entries = new Map<string, Entry>();

  constructor({ clock, random, maxKeys = DEFAULT_MAX_KEYS }: MemoryDedupeStoreOptions) {
    super();
    this.#clock = clock;
    this.#random = random;
    this.#maxKeys = maxKeys;
  }

  /** Keys that are kept now. */
  get size(): number {
    return this.#entries.size;
  }

  override async claim(key: string, claimMs: number): Promise<DedupeClaim> {
    const nowMs = this.#clock.monotonic();
    const found = this.#entries.get(key);
    if (found !== undefined && found.untilMs > nowMs) {
      return found.done ? { state: 'done' } : { state: 'inProgress', remainingMs: found.untilMs - nowMs };
    }
    const token = this.#random.id();
    this.#keep(key, { token, done: false, untilMs: nowMs + claimMs });
    return { state: 'claimed', token };
  }

  override async complete(key: string, token: string, ttlMs: number): Promise<boolean> {
    if (!this.#stands(key, token)) {
      return false;
    }
    this.#keep(key, { token, done: true, untilMs: this.#clock.monotonic() + ttlMs });
    return true;
  }

  override async release(key: string, token: string): Promise<void> {
    if (this.#stands(key, token)) {
      this.#entries.delete(key);
    }
  }

  #stands(key: string, token: string): boolean {
    const found = this.#entries.get(key);
    return found !== undefined && !found.done && found.token === token && found.untilMs > this.#clock.monotonic();
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const [oldest, { untilMs }] of this.#entries) {
      if (this.#entries.size <= this.#maxKeys && untilMs > this.#clock.monotonic()) {
        break;
      }
      this.#entries.delete(oldest);
    }
  }
}
