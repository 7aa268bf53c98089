import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheClosedError, CacheStoreUnavailableError } from '../redis-cache.errors.js';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number, text = `v${version}`): Loaded<TestRow> => ({ value: { text }, version: at(version) });
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});

afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: sweeping', () => {
  it('leaves no replica anything stamped at or below the version, whoever loaded it, and keeps what is above', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    await a.getOrLoad('k', async () => loaded(5));
    await a.getOrLoad('none', async () => ({ value: undefined, version: at(5) }));
    await b.getOrLoad('newer', async () => loaded(6));
    await b.get('k');
    expect(await b.sweep(at(5))).toBe(2);
    await replicas.clock.settle();
    for (const cache of [a, b]) {
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.get('none')).toBeUndefined();
      expect(await cache.get('newer')).toMatchObject({ version: at(6) });
    }
    expect(b.stats().swept).toBe(2);
  });

  it('refuses a load that began before, and accepts one that began after under the same stamp: the version need not move', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const gate = new Gate<Loaded<TestRow>>();
    let runs = 0;
    const early = a.getOrLoad('k', () => (runs++ === 0 ? gate.promise : Promise.resolve(loaded(5, 'after'))));
    await replicas.clock.settle();
    expect(await b.sweep(at(5))).toBe(1);
    gate.open(loaded(5, 'before'));
    expect(await early).toMatchObject({ value: { text: 'after' }, version: at(5), stale: false });
    expect(await b.get('k')).toMatchObject({ value: { text: 'after' } });
  });

  it('fills the first level of no replica with a reply from before', async () => {
    const { cache: a, store } = await replicas.add({ storeTimeoutMs: 5_000 });
    const { cache: b } = await replicas.add();
    await b.getOrLoad('k', async () => loaded(5));
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const late = a.get('k');
    await replicas.clock.settle();
    await b.sweep(at(5));
    await replicas.clock.advance(1_000);
    expect((await late)?.version).toEqual(at(5));
    expect(a.peek('k')).toBeUndefined();
  });

  it('cleans its own replica before it resolves, however late its own message comes', async () => {
    const { cache, bus } = await replicas.add({}, { silent: true });
    await cache.getOrLoad('k', async () => loaded(5));
    bus.cut();
    await cache.sweep(at(5));
    expect(cache.peek('k')).toBeUndefined();
  });

  it.each([
    ['another replica', false],
    ['their own, however late its message comes', true],
  ])('wakes those who waited for a lease that a sweep of %s killed', async (_, own) => {
    const { cache: a } = await replicas.add();
    const { cache: b, bus } = await replicas.add({}, { silent: true });
    const { cache: c } = await replicas.add();
    const gate = new Gate<Loaded<TestRow>>();
    const early = a.getOrLoad('k', () => gate.promise);
    await replicas.clock.settle();
    const waiting = b.getOrLoad('k', async () => loaded(5, 'after'));
    await replicas.clock.advance(1_000);
    const before = replicas.clock.monotonic();
    if (own) {
      bus.cut();
    }
    await (own ? b : c).sweep(at(5));
    expect(await waiting).toMatchObject({ value: { text: 'after' } });
    expect(replicas.clock.monotonic()).toBe(before);
    gate.open(loaded(5, 'before'));
    expect(await early).toMatchObject({ value: { text: 'after' } });
  });

  it('goes through a large namespace in bounded calls', async () => {
    const { cache } = await replicas.add({ synced: false });
    for (let index = 0; index < 3_000; index++) {
      await cache.set(`k${index}`, { text: 'x' }, at(5));
    }
    await replicas.clock.settle();
    const other = await replicas.add({ synced: false });
    const sizes: number[] = [];
    const { server } = replicas;
    const sweep = server.sweep.bind(server);
    server.sweep = (request, cursor) => {
      const reply = sweep(request, cursor);
      sizes.push(reply.swept);
      return reply;
    };
    expect(await other.cache.sweep(at(5))).toBe(3_000);
    expect(Math.max(...sizes)).toBeLessThan(600);
    expect(sizes.length).toBeGreaterThan(5);
  });

  it('lets a storm of sweeps share the next one, at the highest version, and never the one that runs', async () => {
    const { cache, store } = await replicas.add({ storeTimeoutMs: 5_000 });
    await cache.getOrLoad('k', async () => loaded(7));
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const answers = [4, 7, 5, 6, 5].map((version) => cache.sweep(at(version)));
    await replicas.clock.advance(5_000);
    expect(await Promise.all(answers)).toEqual([0, 1, 1, 1, 1]);
    expect(cache.stats().changesSent).toBe(2);
  });

  it('says that the store failed, and goes on with those who waited', async () => {
    const { cache, store } = await replicas.add();
    await cache.getOrLoad('k', async () => loaded(5));
    store.weather = { kind: 'failing' };
    const failed = expect(cache.sweep(at(5))).rejects.toThrow(CacheStoreUnavailableError);
    store.weather = { kind: 'fine' };
    const next = cache.sweep(at(5));
    await failed;
    expect(await next).toBe(1);
    expect(await cache.sweep(at(5))).toBe(0);
  });

  it('ends when the cache closes', async () => {
    const { cache, store } = await replicas.add({ storeTimeoutMs: 60_000 });
    store.weather = { kind: 'slow', delayMs: 1_000 };
    const running = expect(cache.sweep(at(5))).rejects.toThrow(CacheStoreUnavailableError);
    const waiting = expect(cache.sweep(at(5))).rejects.toThrow(CacheClosedError);
    await replicas.clock.settle();
    await cache.close();
    await Promise.all([running, waiting]);
    await expect(cache.sweep(at(5))).rejects.toThrow(CacheClosedError);
    await replicas.clock.advance(1_000);
  });
});
