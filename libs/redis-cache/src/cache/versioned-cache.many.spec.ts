import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CachePayloadTooLargeError, CacheStoreUnavailableError, InvalidCacheKeyError } from '../redis-cache.errors.js';
import { TestReplicas, type TestReplica, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { SetManyEntry } from './many.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const entry = (key: string, version: number, text = `v${version}`): SetManyEntry<TestRow> => ({
  key,
  value: { text },
  version: at(version),
});
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

/** The questions that go to the store. */
function questions({ store }: TestReplica): { readonly get: () => number; readonly getMany: () => number } {
  const get = vi.spyOn(store, 'get');
  const getMany = vi.spyOn(store, 'getMany');
  return { get: () => get.mock.calls.length, getMany: () => getMany.mock.calls.length };
}

describe('VersionedCache: many keys at once', () => {
  it('reads what the first level has from there, and everything else in one question', async () => {
    const writer = await replicas.add({ synced: false });
    const reader = await replicas.add({ synced: false });
    await writer.cache.setMany([entry('a', 1), entry('b', 2), entry('c', 3)]);
    await reader.cache.get('a');
    const asked = questions(reader);

    const hits = await reader.cache.getMany(['a', 'b', 'c', 'd', 'b']);

    expect([...hits].map(([key, { level, version }]) => [key, level, version.version])).toEqual([
      ['a', 'l1', 1n],
      ['b', 'l2', 2n],
      ['c', 'l2', 3n],
    ]);
    expect([asked.get(), asked.getMany()]).toEqual([0, 1]);
    expect((await reader.cache.getMany(['b', 'c'])).get('b')?.level).toBe('l1');
    expect(asked.getMany()).toBe(1);
  });

  it('asks in parts of 500, and asks nothing when nothing is wanted', async () => {
    const reader = await replicas.add({ synced: false });
    const asked = questions(reader);
    expect(await reader.cache.getMany([])).toEqual(new Map());
    expect(asked.getMany()).toBe(0);
    await reader.cache.getMany(Array.from({ length: 1_001 }, (_, index) => `k${index}`));
    expect(asked.getMany()).toBe(3);
  });

  it('fills the first level with nothing that a message has overtaken in between', async () => {
    const writer = await replicas.add({ synced: false });
    const reader = await replicas.add({ synced: false });
    await writer.cache.setMany([entry('a', 1), entry('b', 1)]);
    const getMany = reader.store.getMany.bind(reader.store);
    vi.spyOn(reader.store, 'getMany').mockImplementation(async (keys) => {
      const found = await getMany(keys);
      reader.cache.learn('a', at(2));
      return found;
    });
    await reader.cache.getMany(['a', 'b']);

    expect(reader.cache.peek('a')).toBeUndefined();
    expect(reader.cache.peek('b')).toEqual({ text: 'v1' });
  });

  it('stores each entry by itself: a bad one is told in its result and stands in nobody’s way', async () => {
    const { cache } = await replicas.add({ synced: false, maxPayloadBytes: 100 });
    await cache.set('old', { text: 'newer' }, at(9));
    const results = await cache.setMany([
      entry('a', 1),
      entry('b b', 1),
      entry('large', 1, 'x'.repeat(200)),
      entry('old', 3),
      entry('a', 2),
      entry('a', 1),
    ]);

    expect(results.map((one) => (one.status === 'fulfilled' ? one.outcome : one.reason))).toEqual([
      'applied',
      expect.any(InvalidCacheKeyError),
      expect.any(CachePayloadTooLargeError),
      'stale',
      'applied',
      'stale',
    ]);
    expect(results.map(({ key }) => key)).toEqual(['a', 'b b', 'large', 'old', 'a', 'a']);
    expect((await cache.get('a'))?.version).toEqual(at(2));
  });

  it('says so when the store fails: a read rejects, of a write each entry does', async () => {
    const { cache, store } = await replicas.add({ synced: false });
    vi.spyOn(store, 'getMany').mockRejectedValue(new Error('It is down.'));
    vi.spyOn(store, 'set').mockRejectedValue(new Error('It is down.'));
    await expect(cache.getMany(['a'])).rejects.toThrow(CacheStoreUnavailableError);
    await expect(cache.getMany(['b b'])).rejects.toThrow(InvalidCacheKeyError);
    expect(await cache.setMany([entry('a', 1)])).toMatchObject([
      { status: 'rejected', reason: expect.any(CacheStoreUnavailableError) },
    ]);
  });

  it('shows the same as one read after the other, whatever was written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 9 })), { maxLength: 30 }),
        fc.array(fc.nat(6), { maxLength: 10 }),
        async (writes, reads) => {
          const fresh = new TestReplicas();
          const { cache: writer } = await fresh.add({ synced: false });
          const { cache: one } = await fresh.add({ synced: false });
          const { cache: many } = await fresh.add({ synced: false });
          await writer.setMany(writes.map(([key, version]) => entry(`k${key}`, version)));
          const together = await many.getMany(reads.map((key) => `k${key}`));
          for (const key of reads) {
            expect(together.get(`k${key}`)?.value).toEqual((await one.get(`k${key}`))?.value);
          }
          await fresh.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});
