import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheClosedError, CacheLoadTimeoutError, CacheValueNotEncodableError } from '../redis-cache.errors.js';
import { TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number): Loaded<TestRow> => ({ value: { text: `v${version}` }, version: at(version) });
const down = new Error('The source is down.');
const fails = (): Promise<never> => Promise.reject(down);
const LIVES = { l1TtlMs: 1_000, l2TtlMs: 2_000, failSafeMs: 60_000 };
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: fail-safe', () => {
  it('answers with the last known value when the loader fails, says that it is stale and why, and asks the source again each time', async () => {
    const { cache } = await replicas.add(LIVES);
    await cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    expect(cache.peek('k')).toBeUndefined();
    expect(await cache.get('k')).toBeUndefined();

    const stale = { value: { text: 'v5' }, version: at(5), level: 'l1', stale: true, failure: down };
    expect(await Promise.all([cache.getOrLoad('k', fails), cache.getOrLoad('k', fails)])).toEqual([stale, stale]);
    expect(cache.stats()).toMatchObject({ failSafes: 1, loadFailures: 1, staleAnswers: 2 });
    expect(await cache.getOrLoad('k', async () => loaded(6))).toMatchObject({ level: 'source', stale: false });
    expect(cache.peek('k')).toEqual({ text: 'v6' });
  });

  it('answers so, too, when the loader takes too long, or the store is down', async () => {
    const { cache, store } = await replicas.add({ ...LIVES, loadTimeoutMs: 500 });
    await cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    const slow = cache.getOrLoad('k', () => new Promise<never>(() => {}));
    await replicas.clock.advance(500);
    expect(await slow).toMatchObject({ stale: true, failure: expect.any(CacheLoadTimeoutError) });
    store.weather = { kind: 'failing' };
    expect(await cache.getOrLoad('k', fails)).toMatchObject({ stale: true, failure: down });
  });

  it('lets the failure through when nothing is known, the time is over, or it was not asked for', async () => {
    const { cache } = await replicas.add(LIVES);
    const { cache: plain } = await replicas.add({ ...LIVES, failSafeMs: 0 });
    await expect(cache.getOrLoad('k', fails)).rejects.toBe(down);
    await cache.getOrLoad('k', async () => loaded(5));
    await plain.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    await expect(plain.getOrLoad('k', fails)).rejects.toBe(down);
    expect(await cache.getOrLoad('k', fails)).toMatchObject({ stale: true });
    await replicas.clock.advance(60_000);
    await expect(cache.getOrLoad('k', fails)).rejects.toBe(down);
    expect(cache.stats().l1Entries).toBe(0);
  });

  it.each(['invalidate', 'evict', 'sweep'] as const)(
    'never brings back what another replica’s %s has removed',
    async (change) => {
      const { cache } = await replicas.add(LIVES);
      const { cache: other } = await replicas.add(LIVES);
      await cache.getOrLoad('k', async () => loaded(5));
      await replicas.clock.advance(3_000);
      await (change === 'evict'
        ? other.evict('k')
        : change === 'sweep'
          ? other.sweep(at(9))
          : other.invalidate('k', at(6)));
      await replicas.clock.settle();
      await expect(cache.getOrLoad('k', fails)).rejects.toBe(down);
    },
  );

  it('hides no mistake of its caller, and nothing once the cache is closed', async () => {
    const { cache } = await replicas.add(LIVES);
    await cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(3_000);
    const cyclic: { text: string; self?: unknown } = { text: 'x' };
    cyclic.self = cyclic;
    await expect(cache.getOrLoad('k', async () => ({ value: cyclic, version: at(6) }))).rejects.toThrow(
      CacheValueNotEncodableError,
    );
    const running = cache.getOrLoad('k', () => new Promise<never>(() => {}));
    const refused = expect(running).rejects.toThrow(CacheClosedError);
    await cache.close();
    await refused;
  });
});
