import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestReplicas } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const row = { text: 'v' };
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});

afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: lives and bounds', () => {
  it('keeps an entry for half a minute in the first level and for an hour in the second, each shortened by up to a tenth at random, so that what began together does not end together', async () => {
    const { cache } = await replicas.add();
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => cache.getOrLoad(key, async () => ({ value: row, version: at(1) }))));
    const near = (): number => keys.filter((key) => cache.peek(key) !== undefined).length;
    const far = async (): Promise<number> => (await cache.getMany(keys)).size;
    await replicas.clock.advance(26_999);
    expect(near()).toBe(100);
    await replicas.clock.advance(1_501);
    const some = near();
    expect(some).toBeGreaterThan(20);
    expect(some).toBeLessThan(80);
    await replicas.clock.advance(1_500);
    expect([near(), await far()]).toEqual([0, 100]);
    await replicas.clock.advance(3_240_000 - 30_001);
    expect(await far()).toBe(100);
    await replicas.clock.advance(180_000);
    expect(await far()).toBeGreaterThan(20);
    expect(await far()).toBeLessThan(80);
    await replicas.clock.advance(180_001);
    expect(await far()).toBe(0);
  });

  it('keeps an entry for as long as its call says, not its namespace', async () => {
    const { cache } = await replicas.add({ synced: false });
    await cache.set('short', row, at(1), { l1TtlMs: 1_000, l2TtlMs: 5_000 });
    await cache.set('usual', row, at(1));
    await replicas.clock.advance(1_001);
    expect(cache.peek('short')).toBeUndefined();
    expect(cache.peek('usual')).toEqual(row);
    expect((await cache.get('short'))?.level).toBe('l2');
    await replicas.clock.advance(4_000);
    expect(await cache.get('short')).toBeUndefined();
    expect((await cache.get('usual'))?.level).toBe('l1');
  });

  it('lets a loader decide how long its value lives, before its caller and the namespace', async () => {
    const { cache } = await replicas.add();
    const load = async () => ({ value: row, version: at(1), l2TtlMs: 2_000 });
    await cache.getOrLoad('k', load, { l2TtlMs: 60_000, l1TtlMs: 500 });
    await replicas.clock.advance(501);
    expect(cache.peek('k')).toBeUndefined();
    expect(await cache.get('k')).toBeDefined();
    await replicas.clock.advance(1_500);
    expect(await cache.get('k')).toBeUndefined();
  });

  it('refuses a life out of range by its name, also one of a loader, whose lease is given back', async () => {
    const { cache } = await replicas.add({ synced: false });
    const refused = { name: ConfigurationError.name };
    await expect(cache.set('k', row, at(1), { l2TtlMs: 0 })).rejects.toMatchObject(refused);
    await expect(cache.getOrLoad('k', () => Promise.reject(new Error()), { l1TtlMs: 1.5 })).rejects.toThrow('l1TtlMs');
    await expect(cache.getOrLoad('k', async () => ({ value: row, version: at(1), l2TtlMs: NaN }))).rejects.toThrow(
      'l2TtlMs',
    );
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('bounds the first level by bytes: large values leave it and stay in the second', async () => {
    const { cache } = await replicas.add({ synced: false, maxBytes: 5_000 });
    const large = { text: 'x'.repeat(2_000) };
    for (const key of ['a', 'b', 'c']) {
      await cache.set(key, large, at(1));
    }
    expect(cache.peek('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ l1Entries: 2, l1Evictions: 1 });
    expect(cache.stats().l1Bytes).toBeLessThan(5_000);
    expect(await cache.get('a')).toMatchObject({ value: large, level: 'l2' });
    // Read from the store, it counts like the written one.
    expect(cache.stats()).toMatchObject({ l1Entries: 2, l1Evictions: 2 });
  });
});
