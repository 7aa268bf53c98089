import { CircuitOpenError, type Policy, ResilienceRegistry } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';
import { storeBreaker } from './store-breaker.js';
import { TimedCacheStore } from './timed.store.js';

const TIMEOUT_MS = 250;

/** A store that can be made to answer nothing, or to refuse. */
class SwitchedStore extends MemoryCacheStore {
  mode: 'answers' | 'silent' | 'refuses' = 'answers';
  asked = 0;

  override async get(key: string): ReturnType<MemoryCacheStore['get']> {
    this.asked++;
    if (this.mode === 'silent') {
      return new Promise(() => {});
    }
    if (this.mode === 'refuses') {
      throw Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' });
    }
    return super.get(key);
  }
}

describe('the circuit in front of a store', () => {
  let clock: VirtualClock;
  let breaker: Policy;
  let store: SwitchedStore;
  let timed: TimedCacheStore;

  beforeEach(() => {
    clock = new VirtualClock();
    breaker = new ResilienceRegistry(clock, new SeededRandom(1)).create('store', {
      retry: false,
      breaker: storeBreaker(),
    });
    store = new SwitchedStore(new EmbeddedCacheServer({ clock }));
    timed = new TimedCacheStore(store, TIMEOUT_MS, clock, breaker);
  });

  async function failure(): Promise<unknown> {
    const reading = timed.get('k').then(
      () => undefined,
      (error: unknown) => error,
    );
    await clock.advance(TIMEOUT_MS);
    return reading;
  }

  async function open(): Promise<void> {
    store.mode = 'silent';
    for (let call = 0; call < 5; call++) {
      expect(CacheStoreUnavailableError.is(await failure())).toBe(true);
    }
    expect(breaker.snapshot().circuit?.state).toBe('open');
  }

  it('lets readers wait for a store that is silent five times, and then no more', async () => {
    await open();
    store.asked = 0;
    const startMs = clock.monotonic();
    for (let call = 0; call < 1_000; call++) {
      const error = await timed.get('k').catch((refusal: unknown) => refusal);
      expect(CacheStoreUnavailableError.is(error) && CircuitOpenError.is(error.cause)).toBe(true);
    }
    expect(clock.monotonic()).toBe(startMs);
    expect(clock.pendingTimers).toBe(0);
    expect(store.asked).toBe(0);
    expect(timed.failing).toBe(true);
  });

  it('lets one call try after a second or so, and all of them when it was answered', async () => {
    await open();
    store.mode = 'answers';
    await clock.advance(1_100);
    expect(await timed.get('k')).toBeUndefined();
    expect(breaker.snapshot().circuit?.state).toBe('closed');
    expect(timed.failing).toBe(false);
  });

  it('stays open no longer than a few seconds, however long the store was away', async () => {
    await open();
    for (let attempt = 0; attempt < 20; attempt++) {
      await clock.advance(5_500);
      await failure();
    }
    store.mode = 'answers';
    await clock.advance(5_500);
    expect(await timed.get('k')).toBeUndefined();
  });

  it('does not take a server that refuses for a dead one', async () => {
    store.mode = 'refuses';
    for (let call = 0; call < 50; call++) {
      await expect(timed.get('k')).rejects.toThrow(CacheStoreUnavailableError);
    }
    expect(breaker.snapshot().circuit?.state).toBe('closed');
  });

  it('is one for all caches on the store', async () => {
    await open();
    const other = new TimedCacheStore(store, TIMEOUT_MS, clock, breaker);
    store.asked = 0;
    await expect(other.get('k')).rejects.toThrow(CacheStoreUnavailableError);
    expect(store.asked).toBe(0);
  });
});
