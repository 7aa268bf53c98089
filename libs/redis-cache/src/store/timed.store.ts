import { CircuitOpenError, type Clock, type Policy } from '@smartpulse/resilience';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';
import type { EntryVersion } from '../version/entry-version.js';
import {
  CacheStore,
  type ChangeReply,
  type GivenVersion,
  type LeaseReply,
  type SetAllReply,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from './cache.store.js';
import { Deadlines } from './deadlines.js';

/**
 * A store whose every call ends within a bound: a late or failed one rejects with {@link CacheStoreUnavailableError}, so that callers tell an
 * outage from a mistake of their own. A call that was given up may still have its effect.
 */
export class TimedCacheStore extends CacheStore {
  readonly durable: boolean;
  readonly shared: boolean;
  readonly #deadlines: Deadlines;
  #closed = false;
  #failures = 0;
  #failing = false;

  /** @param breaker in front of it; a call that it refuses fails at once, like one that the store failed. */
  constructor(
    private readonly store: CacheStore,
    timeoutMs: number,
    clock: Clock,
    private readonly breaker?: Policy,
  ) {
    super();
    this.#deadlines = new Deadlines(timeoutMs, clock);
    this.durable = store.durable;
    this.shared = store.shared;
  }

  override get readsTogether(): boolean {
    return this.store.readsTogether;
  }

  /** Calls that failed or were late. */
  get failures(): number {
    return this.#failures;
  }

  /** The latest call to end failed. */
  get failing(): boolean {
    return this.#failing;
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.bounded('get', () => this.store.get(key));
  }

  override getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return this.bounded('getMany', () => this.store.getMany(keys));
  }

  override set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    return this.bounded('set', () => this.store.set(write, leaseToken));
  }

  override setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.bounded('setAll', () => this.store.setAll(writes));
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.bounded('refresh', () => this.store.refresh(write));
  }

  override invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.bounded('invalidate', () => this.store.invalidate(key, version, origin, tombstoneTtlMs));
  }

  override evict(key: string, origin: StoreOrigin): Promise<void> {
    return this.bounded('evict', () => this.store.evict(key, origin));
  }

  override getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    return this.bounded('getOrLease', () => this.store.getOrLease(key, token, leaseMs, withinMs));
  }

  override renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.bounded('renewLease', () => this.store.renewLease(key, token, leaseMs));
  }

  override releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.bounded('releaseLease', () => this.store.releaseLease(key, token, origin));
  }

  override stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.bounded('stamp', () => this.store.stamp(key, ttlMs));
  }

  /** One call of a sweep is bounded, not the whole of it. */
  override sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    return this.bounded('sweep', () => this.store.sweep(request, cursor));
  }

  /** Gives up every call under way and refuses further ones; the store itself stays open. */
  close(): void {
    this.#closed = true;
    this.#deadlines.close(new Error('The cache was closed.'));
  }

  /** A call of another port of the same store, bounded and counted like those of this one. */
  bounded<R>(operation: string, call: () => Promise<R>): Promise<R> {
    if (this.#closed) {
      return Promise.reject(new CacheStoreUnavailableError(operation, new Error('The cache was closed.')));
    }
    if (this.breaker === undefined) {
      return this.#timed(operation, call);
    }
    return this.breaker
      .execute(() => this.#timed(operation, call))
      .catch((error: unknown) => {
        if (!CircuitOpenError.is(error)) {
          throw error;
        }
        this.#failures++;
        this.#failing = true;
        throw CacheStoreUnavailableError.light(operation, error);
      });
  }

  #timed<R>(operation: string, call: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const giveUp = (cause: unknown): void => {
        this.#failures++;
        this.#failing = true;
        reject(new CacheStoreUnavailableError(operation, cause));
      };
      const bounded = this.#deadlines.begin(giveUp);
      const fail = (cause: unknown): void => {
        if (this.#deadlines.end(bounded)) {
          giveUp(cause);
        }
      };
      try {
        call().then((answer) => {
          // What comes after the bound settles nothing: a promise settles once.
          this.#deadlines.end(bounded);
          this.#failing = false;
          resolve(answer);
        }, fail);
      } catch (error) {
        fail(error);
      }
    });
  }
}
