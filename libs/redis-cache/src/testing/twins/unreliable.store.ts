import type { Clock } from '@smartpulse/resilience';
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
} from '../../store/cache.store.js';
import type { EntryVersion } from '../../version/entry-version.js';

/** How an {@link UnreliableCacheStore} behaves now. */
export type StoreWeather =
  | { readonly kind: 'fine' }
  /** Every call is rejected. */
  | { readonly kind: 'failing' }
  /** Every answer comes so much later. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** The call has its effect, the answer is lost. */
  | { readonly kind: 'answerLost' };

/** A store that fails, dawdles or loses answers on demand. */
export class UnreliableCacheStore extends CacheStore {
  readonly durable: boolean;
  readonly shared: boolean;
  /** How it behaves from now on. */
  weather: StoreWeather = { kind: 'fine' };

  constructor(
    private readonly store: CacheStore,
    private readonly clock: Clock,
  ) {
    super();
    this.durable = store.durable;
    this.shared = store.shared;
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.#call(() => this.store.get(key));
  }

  override getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return this.#call(() => this.store.getMany(keys));
  }

  override set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    return this.#call(() => this.store.set(write, leaseToken));
  }

  override setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.#call(() => this.store.setAll(writes));
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.#call(() => this.store.refresh(write));
  }

  override invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.#call(() => this.store.invalidate(key, version, origin, tombstoneTtlMs));
  }

  override evict(key: string, origin: StoreOrigin): Promise<void> {
    return this.#call(() => this.store.evict(key, origin));
  }

  override getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    return this.#call(() => this.store.getOrLease(key, token, leaseMs, withinMs));
  }

  override renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#call(() => this.store.renewLease(key, token, leaseMs));
  }

  override releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.#call(() => this.store.releaseLease(key, token, origin));
  }

  override stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.#call(() => this.store.stamp(key, ttlMs));
  }

  override sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    return this.#call(() => this.store.sweep(request, cursor));
  }

  async #call<R>(execute: () => Promise<R>): Promise<R> {
    const { weather } = this;
    if (weather.kind === 'failing') {
      throw new Error('The store is down.');
    }
    const answer = await execute();
    if (weather.kind === 'answerLost') {
      throw new Error('The connection was reset.');
    }
    if (weather.kind === 'slow') {
      await this.clock.sleep(weather.delayMs);
    }
    return answer;
  }
}
