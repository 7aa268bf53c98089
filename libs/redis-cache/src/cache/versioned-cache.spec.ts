import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jsonCacheCodec } from '../namespace/cache.codec.js';
import { CachePayloadTooLargeError, CacheValueNotEncodableError, InvalidCacheKeyError } from '../redis-cache.errors.js';
import { TestReplicas, type TestRow } from '../testing/test-replicas.js';
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

describe('VersionedCache: levels', () => {
  it('loads once, then answers from the first level, on another replica from the second', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add();
    const first = await a.getOrLoad('k', async () => loaded(5));
    expect(first).toEqual({ value: { text: 'v5' }, version: at(5), level: 'source', stale: false });
    expect(await a.get('k')).toMatchObject({ level: 'l1', value: { text: 'v5' } });
    expect(a.peek('k')).toEqual({ text: 'v5' });
    expect(await b.get('k')).toMatchObject({ level: 'l2', value: { text: 'v5' } });
    expect(await b.get('k')).toMatchObject({ level: 'l1' });
    expect(a.stats()).toMatchObject({ loads: 1, misses: 1, l1Hits: 1, l2Hits: 0, l1Entries: 1 });
  });

  it('remembers that the source has no such thing, for the shorter time', async () => {
    const { cache } = await replicas.add({ negativeTtlMs: 5_000 });
    expect(await cache.getOrLoad('k', async () => ({ value: undefined, version: at(5) }))).toMatchObject({
      level: 'source',
    });
    expect(await cache.get('k')).toMatchObject({ value: undefined, version: at(5), level: 'l1' });
    await replicas.clock.advance(5_001);
    expect(await cache.get('k')).toBeUndefined();
  });

  it('keeps an entry in the first level no longer than its life there, nor than what is left in the second', async () => {
    const { cache } = await replicas.add({ l1TtlMs: 30_000, l2TtlMs: 40_000 });
    await cache.getOrLoad('k', async () => loaded(5));
    await replicas.clock.advance(30_001);
    expect(await cache.get('k')).toMatchObject({ level: 'l2' });
    await replicas.clock.advance(10_000);
    expect(cache.peek('k')).toBeUndefined();
    expect(await cache.get('k')).toBeUndefined();
  });

  it('holds no more entries in the first level than it may', async () => {
    const { cache } = await replicas.add({ maxEntries: 3 });
    for (const key of ['a', 'b', 'c', 'd']) {
      await cache.getOrLoad(key, async () => loaded(1));
    }
    expect(cache.peek('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ l1Entries: 3, l1Evictions: 1 });
  });

  it('shows every reader what the codec makes of a value, frozen, and not the object of the loader', async () => {
    const { cache } = await replicas.add();
    const own = { text: 'own', tags: ['x'] };
    const hit = await cache.getOrLoad('k', async () => ({ value: own, version: at(1) }));
    expect(hit.value).toEqual(own);
    expect(hit.value).not.toBe(own);
    expect(Object.isFrozen(hit.value?.tags)).toBe(true);
    expect(Object.isFrozen(own)).toBe(false);
  });

  it('shows what was set as the store will give it, frozen and one object for all, though it is decoded only when somebody asks', async () => {
    let decoded = 0;
    const json = jsonCacheCodec<TestRow>();
    const { cache } = await replicas.add({
      synced: false,
      codec: { ...json, decode: (text) => (decoded++, json.decode(text)) },
    });
    const own = { text: 'own', tags: ['x'] };
    await cache.set('k', own, at(1));
    expect(decoded).toBe(0);
    own.text = 'changed afterwards';
    const shown = cache.peek('k');
    expect(shown).toEqual({ text: 'own', tags: ['x'] });
    expect(Object.isFrozen(shown?.tags)).toBe(true);
    expect((await cache.get('k'))?.value).toBe(shown);
    expect(decoded).toBe(1);
  });

  it('refuses to set what a codec cannot read again, where the codec does not promise that it can', async () => {
    const { cache } = await replicas.add({
      codec: {
        encode: ({ text }) => text,
        decode: () => {
          throw new Error('One way only.');
        },
      },
    });
    await expect(cache.set('k', { text: 'x' }, at(1))).rejects.toThrow(CacheValueNotEncodableError);
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('freezes what a codec shares between the parts of a value, or lets meet itself', async () => {
    const { cache } = await replicas.add({
      synced: false,
      codec: {
        encode: ({ text }) => text,
        decode: (text) => {
          const row: TestRow & { self?: unknown } = { text, tags: [text] };
          row.self = row;
          return row;
        },
      },
    });
    await cache.set('k', { text: 'x' }, at(1));
    const shown = cache.peek('k');
    expect(shown?.text).toBe('x');
    expect([shown, shown?.tags].map(Object.isFrozen)).toEqual([true, true]);
  });

  it('answers a value that is too large without storing it, and refuses to set it', async () => {
    const { cache } = await replicas.add({ maxPayloadBytes: 100 });
    const text = 'x'.repeat(200);
    expect(await cache.getOrLoad('k', async () => loaded(1, text))).toMatchObject({ value: { text }, stale: false });
    await expect(cache.set('k', { text }, at(1))).rejects.toThrow(CachePayloadTooLargeError);
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.stats().oversized).toBe(1);
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('refuses keys that would break out of their place, and values that have no text', async () => {
    const { cache } = await replicas.add();
    await expect(cache.get('a b')).rejects.toThrow(InvalidCacheKeyError);
    await expect(cache.getOrLoad('{x}', async () => loaded(1))).rejects.toThrow(InvalidCacheKeyError);
    const cyclic: { text: string; self?: unknown } = { text: 'x' };
    cyclic.self = cyclic;
    await expect(cache.getOrLoad('k', async () => ({ value: cyclic, version: at(1) }))).rejects.toThrow(
      CacheValueNotEncodableError,
    );
    expect(replicas.server.stats().entries).toBe(0);
  });

  it('takes stored text that its codec cannot read for a miss, and loads anew', async () => {
    const { cache: a } = await replicas.add();
    const { cache: b } = await replicas.add({
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
