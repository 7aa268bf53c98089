import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineCache } from '../namespace/define-cache.js';
import { CrossSlotError, InvalidCacheKeyError } from '../redis-cache.errors.js';
import { TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number): Loaded<TestRow> => ({ value: { text: `v${version}` }, version: at(version) });
const GROUPED = { synced: false, groupOf: (key: string): string => key.split('/')[0] ?? key };
const entry = (key: string, version: number) => ({ key, value: { text: `v${version}` }, version: at(version) });
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: sets of all or none', () => {
  it('stores all entries of a group in one step, and drops what other replicas hold of them', async () => {
    const [a, b] = [await replicas.add(GROUPED), await replicas.add(GROUPED)];
    await a.cache.setAll([entry('7/head', 1), entry('7/lines', 1)]);
    await b.cache.getMany(['7/head', '7/lines']);
    expect(await a.cache.setAll([entry('7/head', 2), entry('7/lines', 2)])).toEqual({
      applied: true,
      results: [
        { key: '7/head', outcome: 'applied' },
        { key: '7/lines', outcome: 'applied' },
      ],
    });
    await replicas.clock.settle();
    expect([b.cache.peek('7/head'), b.cache.peek('7/lines')]).toEqual([undefined, undefined]);
    expect(a.cache.peek('7/lines')).toEqual({ text: 'v2' });
  });

  it('stores none when one of them is not newer, and says which', async () => {
    const { cache } = await replicas.add(GROUPED);
    await cache.setAll([entry('7/head', 1), entry('7/lines', 5)]);
    expect(await cache.setAll([entry('7/head', 2), entry('7/lines', 4)])).toEqual({
      applied: false,
      results: [
        { key: '7/head', outcome: 'withheld' },
        { key: '7/lines', outcome: 'stale' },
      ],
    });
    expect((await cache.get('7/head'))?.version).toEqual(at(1));
  });

  it('refuses keys of several groups before it asks the store, and says what to do', async () => {
    const { cache } = await replicas.add(GROUPED);
    await expect(cache.setAll([entry('7/head', 1), entry('8/head', 1)])).rejects.toThrow(CrossSlotError);
    const plain = await replicas.add({ synced: false, name: 'plain' });
    await expect(plain.cache.setAll([entry('a', 1), entry('b', 1)])).rejects.toThrow(/groupOf/);
    expect(await cache.get('7/head')).toBeUndefined();
  });

  it('refuses no entries, one key twice, and a group that cannot be part of a key', async () => {
    const { cache } = await replicas.add(GROUPED);
    await expect(cache.setAll([])).rejects.toThrow(ConfigurationError);
    await expect(cache.setAll([entry('7/a', 1), entry('7/a', 2)])).rejects.toThrow(ConfigurationError);
    const braces = await replicas.add({ synced: false, name: 'braces', groupOf: () => 'a}b' });
    await expect(braces.cache.get('k')).rejects.toThrow(InvalidCacheKeyError);
  });

  it('does everything else in a namespace with groups as without', async () => {
    const [a, b] = [await replicas.add(GROUPED), await replicas.add(GROUPED)];
    await a.cache.getOrLoad('7/head', async () => loaded(1));
    await b.cache.get('7/head');
    await a.cache.invalidate('7/head', at(2));
    await replicas.clock.settle();
    expect([b.cache.peek('7/head'), await b.cache.get('7/head')]).toEqual([undefined, undefined]);
    await a.cache.getOrLoad('7/head', async () => loaded(3));
    expect(await a.cache.sweep(at(3))).toBe(1);
  });
});

describe('VersionedCache: a namespace that changes populate', () => {
  const POPULATED = { populate: true, tombstoneTtlMs: 60_000_000, l2TtlMs: 70_000_000 };

  it('creates by a change, and does not create again what was deleted', async () => {
    const { cache } = await replicas.add(POPULATED);
    expect(await cache.refresh('k', { text: 'v2' }, at(2))).toBe('applied');
    expect(await cache.get('k')).toMatchObject({ value: { text: 'v2' } });
    expect(await cache.invalidate('k', at(3))).toBe('applied');
    expect(await cache.refresh('k', { text: 'v2' }, at(2))).toBe('stale');
    expect(await cache.get('k')).toBeUndefined();
  });

  it('remembers that the source has nothing for as long as a change may come again', async () => {
    const { cache } = await replicas.add({ ...POPULATED, negativeTtlMs: 1_000 });
    await cache.getOrLoad('k', async () => ({ value: undefined, version: at(3) }));
    await replicas.clock.advance(30_000_000);
    expect(await cache.refresh('k', { text: 'v2' }, at(2))).toBe('stale');
  });

  it('is refused without tombstones that live long enough, values that live as long, and a sync', async () => {
    const options = { name: 'rows', synced: true, populate: true };
    expect(() => defineCache(options)).toThrow(/tombstoneTtlMs/);
    expect(() => defineCache({ ...options, tombstoneTtlMs: 7_200_000 })).toThrow(/l2TtlMs.*8000000/);
    expect(() => defineCache({ ...options, synced: false })).toThrow(/synced: true/);
    const { cache } = await replicas.add(POPULATED);
    await expect(cache.refresh('k', { text: 'x' }, at(1), { l2TtlMs: 1_000 })).rejects.toThrow(
      /shorter than the tombstones/,
    );
  });
});
