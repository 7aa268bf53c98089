import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import { type CacheNamespaceOptions, defineCache } from '../namespace/define-cache.js';
import {
  CacheClosedError,
  CacheLoadTimeoutError,
  CacheOverloadedError,
  CachePayloadTooLargeError,
  CacheStoreUnavailableError,
  CacheValueNotEncodableError,
  InvalidCacheKeyError,
} from '../redis-cache.errors.js';
import { LossyInvalidationBus } from '../testing/twins/lossy.bus.js';
import { UnreliableCacheStore } from '../testing/twins/unreliable.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';
import { VersionedCache } from './versioned-cache.js';

interface Row {
  readonly text: string;
  readonly tags?: readonly string[];
}

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number, text = `v${version}`): Loaded<Row> => ({ value: { text }, version: at(version) });

/** A promise that the test settles. */
class Gate<T> {
  readonly promise: Promise<T>;
  open: (value: T) => void = () => {};
  fail: (error: Error) => void = () => {};

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
  }
}

let clock: VirtualClock;
let server: EmbeddedCacheServer;
let caches: VersionedCache<Row>[];

/** One more replica on the same server. */
async function replica(options: Partial<CacheNamespaceOptions<Row>> = {}): Promise<{
  cache: VersionedCache<Row>;
  store: UnreliableCacheStore;
  bus: LossyInvalidationBus;
}> {
  const store = new UnreliableCacheStore(new MemoryCacheStore(server), clock);
  const bus = new LossyInvalidationBus(new MemoryInvalidationBus(server));
  const cache = new VersionedCache<Row>({
    namespace: defineCache<Row>({ name: 'rows', synced: true, ...options }),
    prefix: 'test',
    nodeId: `n${caches.length}`,
    store,
    clock,
    random: new SeededRandom(caches.length + 1),
  });
  caches.push(cache);
  await cache.connect(bus);
  return { cache, store, bus };
}

beforeEach(() => {
  clock = new VirtualClock();
  server = new EmbeddedCacheServer({ clock });
  caches = [];
});

afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  server.close();
  expect(clock.pendingTimers).toBe(0);
});

describe('VersionedCache: levels', () => {
  it('loads once, then answers from the first level, on another replica from the second', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    const first = await a.getOrLoad('k', async () => loaded(5));
    expect(first).toEqual({ value: { text: 'v5' }, version: at(5), level: 'source', stale: false });
    expect(await a.get('k')).toMatchObject({ level: 'l1', value: { text: 'v5' } });
    expect(a.peek('k')).toEqual({ text: 'v5' });
    expect(await b.get('k')).toMatchObject({ level: 'l2', value: { text: 'v5' } });
    expect(await b.get('k')).toMatchObject({ level: 'l1' });
    expect(a.stats()).toMatchObject({ loads: 1, misses: 1, l1Hits: 1, l2Hits: 0, l1Entries: 1 });
  });

  it('remembers that the source has no such thing, for the shorter time', async () => {
    const { cache } = await replica({ negativeTtlMs: 5_000 });
    expect(await cache.getOrLoad('k', async () => ({ value: undefined, version: at(5) }))).toMatchObject({
      level: 'source',
    });
    expect(await cache.get('k')).toMatchObject({ value: undefined, version: at(5), level: 'l1' });
    await clock.advance(5_001);
    expect(await cache.get('k')).toBeUndefined();
  });

  it('keeps an entry in the first level no longer than its life there, nor than what is left in the second', async () => {
    const { cache } = await replica({ l1TtlMs: 30_000, l2TtlMs: 40_000 });
    await cache.getOrLoad('k', async () => loaded(5));
    await clock.advance(30_001);
    expect(await cache.get('k')).toMatchObject({ level: 'l2' });
    await clock.advance(10_000);
    expect(cache.peek('k')).toBeUndefined();
    expect(await cache.get('k')).toBeUndefined();
  });

  it('holds no more entries in the first level than it may', async () => {
    const { cache } = await replica({ maxEntries: 3 });
    for (const key of ['a', 'b', 'c', 'd']) {
      await cache.getOrLoad(key, async () => loaded(1));
    }
    expect(cache.peek('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ l1Entries: 3, l1Evictions: 1 });
  });

  it('shows every reader what the codec makes of a value, frozen, and not the object of the loader', async () => {
    const { cache } = await replica();
    const own = { text: 'own', tags: ['x'] };
    const hit = await cache.getOrLoad('k', async () => ({ value: own, version: at(1) }));
    expect(hit.value).toEqual(own);
    expect(hit.value).not.toBe(own);
    expect(Object.isFrozen(hit.value?.tags)).toBe(true);
    expect(Object.isFrozen(own)).toBe(false);
  });

  it('answers a value that is too large without storing it, and refuses to set it', async () => {
    const { cache } = await replica({ maxPayloadBytes: 100 });
    const text = 'x'.repeat(200);
    expect(await cache.getOrLoad('k', async () => loaded(1, text))).toMatchObject({ value: { text }, stale: false });
    await expect(cache.set('k', { text }, at(1))).rejects.toThrow(CachePayloadTooLargeError);
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.stats().oversized).toBe(1);
    expect(server.stats().entries).toBe(0);
  });

  it('refuses keys that would break out of their place, and values that have no text', async () => {
    const { cache } = await replica();
    await expect(cache.get('a b')).rejects.toThrow(InvalidCacheKeyError);
    await expect(cache.getOrLoad('{x}', async () => loaded(1))).rejects.toThrow(InvalidCacheKeyError);
    const cyclic: { text: string; self?: unknown } = { text: 'x' };
    cyclic.self = cyclic;
    await expect(cache.getOrLoad('k', async () => ({ value: cyclic, version: at(1) }))).rejects.toThrow(
      CacheValueNotEncodableError,
    );
    expect(server.stats().entries).toBe(0);
  });

  it('takes stored text that its codec cannot read for a miss, and loads anew', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica({
      codec: {
        encode: (value) => `b:${value.text}`,
        decode: (text) => {
          if (!text.startsWith('b:')) {
            throw new Error('Not mine.');
          }
          return { text: text.slice(2) };
        },
      },
    });
    await a.getOrLoad('k', async () => loaded(5));
    expect(await b.get('k')).toBeUndefined();
    expect(await b.getOrLoad('k', async () => loaded(5))).toMatchObject({ level: 'source', value: { text: 'v5' } });
    expect(b.stats().undecodable).toBe(2);
  });
});

describe('VersionedCache: one loader', () => {
  it('runs one loader for 100 callers on 4 replicas, and one lease', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => replica()));
    const gate = new Gate<Loaded<Row>>();
    let runs = 0;
    const call = async (index: number) =>
      await replicas[index % 4]?.cache.getOrLoad('k', () => {
        runs++;
        return gate.promise;
      });
    const answers = Array.from({ length: 100 }, (_, index) => call(index));
    await clock.advance(500);
    expect(runs).toBe(1);
    gate.open(loaded(5));
    await clock.advance(2_000);
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject({ value: { text: 'v5' }, version: at(5), stale: false });
    }
    const stats = replicas.map(({ cache }) => cache.stats());
    expect(stats.reduce((sum, { leasesAcquired }) => sum + leasesAcquired, 0)).toBe(1);
    expect(stats.reduce((sum, { joined }) => sum + joined, 0)).toBe(96);
    expect(runs).toBe(1);
  });

  it('wakes the waiting replicas by the message of the set, not by the next poll', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    const gate = new Gate<Loaded<Row>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await clock.settle();
    const second = b.getOrLoad('k', async () => loaded(99));
    await clock.advance(1_000);
    const before = clock.monotonic();
    gate.open(loaded(5));
    expect((await second).version).toEqual(at(5));
    expect(clock.monotonic()).toBe(before);
    await first;
  });

  it('renews its lease while the loader runs longer than the lease lives', async () => {
    const { cache: a } = await replica({ leaseMs: 1_000 });
    const { cache: b } = await replica({ leaseMs: 1_000 });
    const gate = new Gate<Loaded<Row>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await clock.advance(900);
    let ran = false;
    const second = b.getOrLoad('k', async () => {
      ran = true;
      return loaded(9);
    });
    await clock.advance(5_000);
    gate.open(loaded(5));
    await clock.advance(2_000);
    expect((await first).stale).toBe(false);
    expect((await second).version).toEqual(at(5));
    expect(ran).toBe(false);
  });

  it('gives the lease of a failed loader back, so that the next caller loads at once', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    await expect(a.getOrLoad('k', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
    expect(await b.getOrLoad('k', async () => loaded(5))).toMatchObject({ level: 'source' });
    expect(a.stats().loadFailures).toBe(1);
  });

  it('ends a loader that takes too long, aborts its signal and gives the lease back', async () => {
    const { cache } = await replica({ loadTimeoutMs: 2_000 });
    let signal: AbortSignal | undefined;
    const answer = cache.getOrLoad('k', (context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    const outcome = expect(answer).rejects.toThrow(CacheLoadTimeoutError);
    await clock.advance(2_000);
    await outcome;
    expect(signal?.aborted).toBe(true);
    expect(server.stats().entries).toBe(0);
  });

  it('loads without storing when another lease stands for too long, and says that the answer is not confirmed', async () => {
    const { cache: a } = await replica({ loadTimeoutMs: 60_000 });
    const { cache: b } = await replica({ waitTimeoutMs: 3_000 });
    const gate = new Gate<Loaded<Row>>();
    const first = a.getOrLoad('k', () => gate.promise);
    await clock.settle();
    const second = b.getOrLoad('k', async () => loaded(7));
    await clock.advance(3_100);
    expect(await second).toMatchObject({ version: at(7), level: 'source', stale: true });
    expect(b.peek('k')).toBeUndefined();
    gate.open(loaded(5));
    await first;
  });
});

describe('VersionedCache: changes and loads', () => {
  it('never leaves a stale entry when a change comes during a load', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    const gates = [new Gate<Loaded<Row>>(), new Gate<Loaded<Row>>()];
    let runs = 0;
    const answer = a.getOrLoad('k', () => gates[runs++]?.promise ?? Promise.reject(new Error('too often')));
    await clock.settle();
    expect(await b.refresh('k', { text: 'v6' }, at(6))).toBe('deferred');
    gates[0]?.open(loaded(5));
    await clock.settle();
    gates[1]?.open(loaded(6));
    expect(await answer).toMatchObject({ version: at(6), stale: false });
    expect(await b.get('k')).toMatchObject({ version: at(6) });
    expect(a.peek('k')).toEqual({ text: 'v6' });
    expect(a.stats().refused).toBe(1);
  });

  it('never gives a caller who comes after the commit the load from before it', async () => {
    const { cache } = await replica();
    const old = new Gate<Loaded<Row>>();
    let laterRuns = 0;
    const before = cache.getOrLoad('k', () => (laterRuns === 0 ? old.promise : Promise.resolve(loaded(6))));
    await clock.settle();
    expect(await cache.invalidate('k', at(6))).toBe('deferred');
    const after = cache.getOrLoad('k', async () => loaded(6));
    laterRuns++;
    old.open(loaded(5));
    await clock.advance(3_000);
    expect((await after).version).toEqual(at(6));
    expect((await before).version).toEqual(at(6));
  });

  it('lets nobody join a load whose stamp is behind what was learned meanwhile', async () => {
    const { cache, store } = await replica({ storeTimeoutMs: 5_000 });
    const gate = new Gate<Loaded<Row>>();
    const before = cache.getOrLoad('k', () => gate.promise);
    await clock.settle();
    // The set of version 5 is accepted, and its answer takes a second.
    store.weather = { kind: 'slow', delayMs: 1_000 };
    gate.open(loaded(5));
    await clock.settle();
    store.weather = { kind: 'fine' };
    expect(await cache.invalidate('k', at(6))).toBe('applied');
    const after = await cache.getOrLoad('k', async () => loaded(6));
    expect(after.version).toEqual(at(6));
    await clock.advance(1_000);
    expect((await before).version).toEqual(at(5));
    expect(cache.peek('k')).toEqual({ text: 'v6' });
    expect(cache.stats().takenOut).toBe(1);
  });

  it('drops the key on every replica when one of them applies a change', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    await a.getOrLoad('k', async () => loaded(5));
    await b.get('k');
    expect(await b.refresh('k', { text: 'v6' }, at(6))).toBe('applied');
    await clock.settle();
    expect(a.peek('k')).toBeUndefined();
    expect(await a.get('k')).toMatchObject({ version: at(6), level: 'l2' });
  });

  it('does not put a late answer into the first level when a message overtook it', async () => {
    const { cache: a, store } = await replica({ storeTimeoutMs: 5_000 });
    const { cache: b } = await replica();
    await b.getOrLoad('k', async () => loaded(5));
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const late = a.get('k');
    await clock.settle();
    await b.refresh('k', { text: 'v6' }, at(6));
    await clock.advance(1_000);
    expect((await late)?.version).toEqual(at(5));
    expect(a.peek('k')).toBeUndefined();
  });

  it('takes the stored winner when its own set is refused', async () => {
    const { cache: a } = await replica({ leaseMs: 600_000, loadTimeoutMs: 600_000 });
    const { cache: b } = await replica();
    const gate = new Gate<Loaded<Row>>();
    const answer = a.getOrLoad('k', () => gate.promise);
    await clock.settle();
    server.expire('{test:rows:k}:v');
    await b.getOrLoad('k', async () => loaded(7));
    gate.open(loaded(5));
    expect(await answer).toMatchObject({ version: at(7), level: 'l2', stale: false });
  });

  it('answers its own value flagged stale when the store refused it four times', async () => {
    const { cache } = await replica();
    let runs = 0;
    const answer = await cache.getOrLoad('k', async () => {
      runs++;
      await cache.invalidate('k', at(runs + 10));
      return loaded(runs);
    });
    expect(runs).toBe(4);
    expect(answer).toMatchObject({ version: at(4), level: 'source', stale: true });
    expect(cache.peek('k')).toBeUndefined();
    expect(cache.stats().staleAnswers).toBe(1);
  });

  it('leaves nothing of a load that was evicted while it ran', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    const gate = new Gate<Loaded<Row>>();
    let runs = 0;
    const answer = a.getOrLoad('k', () => (runs++ === 0 ? gate.promise : Promise.resolve(loaded(9))));
    await clock.settle();
    await b.evict('k');
    gate.open(loaded(5));
    expect((await answer).version).toEqual(at(9));
    expect(runs).toBe(2);
  });

  it('acts on a stamp learned elsewhere like on a message', async () => {
    const { cache } = await replica();
    await cache.getOrLoad('k', async () => loaded(5));
    cache.learn('k', at(5));
    expect(cache.peek('k')).toEqual({ text: 'v5' });
    cache.learn('k', at(6));
    expect(cache.peek('k')).toBeUndefined();
  });
});

describe('VersionedCache: outages', () => {
  it('bypasses the first level while messages may be lost, and drops it when the line stands again', async () => {
    const { cache: a, bus } = await replica();
    const { cache: b } = await replica();
    await a.getOrLoad('k', async () => loaded(5));
    bus.cut();
    expect(a.trusted).toBe(false);
    await b.refresh('k', { text: 'v6' }, at(6));
    expect(await a.get('k')).toMatchObject({ version: at(6), level: 'l2', stale: false });
    bus.mend();
    expect(a.trusted).toBe(true);
    expect(a.peek('k')).toBeUndefined();
    expect(await a.get('k')).toMatchObject({ version: at(6), level: 'l2' });
    expect(await a.get('k')).toMatchObject({ version: at(6), level: 'l1' });
  });

  it('serves the first level flagged stale, for its time, where the namespace says so', async () => {
    const { cache, bus } = await replica({ untrusted: 'serve-stale', serveStaleMs: 10_000 });
    await cache.getOrLoad('k', async () => loaded(5));
    bus.cut();
    expect(await cache.get('k')).toMatchObject({ level: 'l1', stale: true });
    await clock.advance(10_001);
    expect(await cache.get('k')).toMatchObject({ level: 'l2', stale: false });
  });

  it('loads past a store that fails, says so, and keeps nothing', async () => {
    const { cache, store } = await replica();
    store.weather = { kind: 'failing' };
    expect(await cache.getOrLoad('k', async () => loaded(5))).toMatchObject({ version: at(5), stale: true });
    await expect(cache.get('k')).rejects.toThrow(CacheStoreUnavailableError);
    await expect(cache.invalidate('k', at(5))).rejects.toThrow(CacheStoreUnavailableError);
    expect(cache.storeFailing).toBe(true);
    store.weather = { kind: 'fine' };
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.storeFailing).toBe(false);
  });

  it('does not wait for a store that does not answer', async () => {
    const { cache, store } = await replica({ storeTimeoutMs: 250 });
    store.weather = { kind: 'slow', delayMs: 60_000 };
    const answer = cache.getOrLoad('k', async () => loaded(5));
    await clock.advance(250);
    expect(await answer).toMatchObject({ version: at(5), stale: true });
    await clock.advance(60_000);
  });

  it('does not trust its own set when the answer to it was lost', async () => {
    const { cache, store } = await replica();
    const answer = await cache.getOrLoad('k', async () => {
      store.weather = { kind: 'answerLost' };
      return loaded(5);
    });
    expect(answer).toMatchObject({ version: at(5), stale: true });
    expect(cache.peek('k')).toBeUndefined();
    store.weather = { kind: 'fine' };
    expect(await cache.get('k')).toMatchObject({ version: at(5), level: 'l2' });
  });

  it('lets few loaders through while the store is down, and refuses beyond the bound', async () => {
    const { cache, store } = await replica({ outageConcurrency: 2, outageQueue: 3 });
    store.weather = { kind: 'failing' };
    const gate = new Gate<void>();
    let running = 0;
    let most = 0;
    const answers = Array.from({ length: 6 }, (_, index) =>
      cache.getOrLoad(`k${index}`, async () => {
        most = Math.max(most, ++running);
        await gate.promise;
        running--;
        return loaded(1);
      }),
    );
    await expect(answers[5]).rejects.toThrow(CacheOverloadedError);
    gate.open();
    await Promise.all(answers.slice(0, 5));
    expect(most).toBe(2);
    expect(cache.stats().overloaded).toBe(1);
  });

  it('ends loads and waits when it closes, and takes no more', async () => {
    const { cache: a } = await replica();
    const { cache: b } = await replica();
    const loading = expect(a.getOrLoad('k', () => new Promise(() => {}))).rejects.toThrow(CacheClosedError);
    await clock.settle();
    const waiting = expect(b.getOrLoad('k', async () => loaded(1))).rejects.toThrow();
    await clock.settle();
    await Promise.all([a.close(), b.close()]);
    await Promise.all([loading, waiting]);
    await expect(a.getOrLoad('k', async () => loaded(1))).rejects.toThrow(CacheClosedError);
    expect(server.stats().subscribers).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
