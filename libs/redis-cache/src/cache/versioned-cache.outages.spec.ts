import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheClosedError, CacheOverloadedError, CacheStoreUnavailableError } from '../redis-cache.errors.js';
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

describe('VersionedCache: outages', () => {
  it('bypasses the first level while messages may be lost, and drops it when the line stands again', async () => {
    const { cache: a, bus } = await replicas.add();
    const { cache: b } = await replicas.add();
    await a.getOrLoad('k', async () => loaded(5));
    bus.cut();
    bus.cut();
    expect(a.stats().gaps).toBe(1);
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
    const { cache, bus } = await replicas.add({ untrusted: 'serve-stale', serveStaleMs: 10_000 });
    await cache.getOrLoad('k', async () => loaded(5));
    bus.cut();
    expect(await cache.get('k')).toMatchObject({ level: 'l1', stale: true });
    await replicas.clock.advance(10_001);
    expect(await cache.get('k')).toMatchObject({ level: 'l2', stale: false });
  });

  it('loads past a store that fails, says so, and keeps nothing', async () => {
    const { cache, store } = await replicas.add();
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
    const { cache, store } = await replicas.add({ storeTimeoutMs: 250 });
    store.weather = { kind: 'slow', delayMs: 60_000 };
    const answer = cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(250);
    expect(await answer).toMatchObject({ version: at(5), stale: true });
    await replicas.clock.advance(60_000);
  });

  it('does not trust its own set when the answer to it was lost', async () => {
    const { cache, store } = await replicas.add();
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
    const { cache, store } = await replicas.add({ outageConcurrency: 2, outageQueue: 3 });
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
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const loading = expect(a.getOrLoad('k', () => new Promise(() => {}))).rejects.toThrow(CacheClosedError);
    await replicas.clock.settle();
    const waiting = expect(b.getOrLoad('k', async () => loaded(1))).rejects.toThrow();
    await replicas.clock.settle();
    await Promise.all([a.close(), b.close()]);
    await Promise.all([loading, waiting]);
    await expect(a.getOrLoad('k', async () => loaded(1))).rejects.toThrow(CacheClosedError);
    expect(replicas.server.stats().subscribers).toBe(0);
    expect(replicas.clock.pendingTimers).toBe(0);
  });
});
