import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheStoreUnavailableError, InvalidCacheKeyError } from '../redis-cache.errors.js';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { Loaded } from './cache-hit.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const loaded = (version: number): Loaded<TestRow> => ({ value: { text: `v${version}` }, version: at(version) });
const TAGGED = { synced: false, tagged: true };
let replicas: TestReplicas;

beforeEach(() => {
  replicas = new TestReplicas();
});
afterEach(async () => {
  await replicas.close();
  expect(replicas.clock.pendingTimers).toBe(0);
});

describe('VersionedCache: tags', () => {
  it('makes everything that carries a tag old on every replica, and nothing else', async () => {
    const [a, b] = [await replicas.add(TAGGED), await replicas.add(TAGGED)];
    await a.cache.getOrLoad('k', async () => loaded(1), { tags: ['red', 'round'] });
    await a.cache.getOrLoad('l', async () => loaded(1), { tags: ['round'] });
    await a.cache.set('m', { text: 'm' }, at(1), { tags: ['red'] });
    await b.cache.getMany(['k', 'l', 'm']);
    await a.cache.invalidateTag('red');
    await replicas.clock.settle();
    for (const { cache } of [a, b]) {
      expect([cache.peek('k'), cache.peek('l'), cache.peek('m')]).toEqual([undefined, { text: 'v1' }, undefined]);
      expect([...(await cache.getMany(['k', 'l', 'm'])).keys()]).toEqual(['l']);
    }
    expect(await b.cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] })).toMatchObject({ level: 'source' });
    expect(await a.cache.get('k')).toMatchObject({ level: 'l2', value: { text: 'v1' } });
  });

  it('shows nothing of a tag on the replica that invalidated it, from the moment that it was called', async () => {
    const { cache } = await replicas.add(TAGGED);
    await cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    const invalidated = cache.invalidateTag('red');
    expect(cache.peek('k')).toBeUndefined();
    await invalidated;
    expect(await cache.get('k')).toBeUndefined();
  });

  it('takes the lease of a loader over that failed above a value that is old, as soon as that is told', async () => {
    const [a, b] = [await replicas.add(TAGGED), await replicas.add(TAGGED)];
    await a.cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    await a.cache.invalidateTag('red');
    await replicas.clock.settle();
    const source = new Gate<Loaded<TestRow>>();
    const failing = a.cache.getOrLoad('k', async () => {
      await source.promise;
      throw new Error('no database');
    });
    const failed = expect(failing).rejects.toThrow('no database');
    await replicas.clock.settle();
    const waiting = b.cache.getOrLoad('k', async () => loaded(2), { tags: ['red'] });
    await replicas.clock.advance(100);
    source.open(loaded(1));
    await failed;
    await replicas.clock.settle();
    expect(await waiting).toMatchObject({ version: at(2), level: 'source', stale: false });
    expect(b.cache.stats()).toMatchObject({ leasesAcquired: 1, unstored: 0 });
  });

  it('does not let an invalidation during a load leave a stale entry', async () => {
    const [a, b] = [await replicas.add(TAGGED), await replicas.add(TAGGED)];
    const source = new Gate<Loaded<TestRow>>();
    const before = a.cache.getOrLoad('k', () => source.promise, { tags: ['red'] });
    await replicas.clock.settle();
    await b.cache.invalidateTag('red');
    await replicas.clock.settle();
    // Whoever asks from here on must not get what was read before.
    const after = a.cache.getOrLoad('k', async () => loaded(2), { tags: ['red'] });
    source.open(loaded(1));
    expect((await before).version).toEqual(at(1));
    await replicas.clock.advance(1_000);
    expect((await after).version).toEqual(at(2));
    for (const { cache } of [a, b]) {
      expect((await cache.get('k'))?.version).toEqual(at(2));
    }
  });

  it('takes tags from the loader, as of when it names them', async () => {
    const { cache } = await replicas.add(TAGGED);
    const gate = new Gate<void>();
    const load = cache.getOrLoad('k', async (context) => {
      await context.tag('author:7');
      await gate.promise;
      return loaded(1);
    });
    await replicas.clock.settle();
    await cache.invalidateTag('author:7');
    gate.open();
    await load;
    expect(await cache.get('k')).toBeUndefined();
    await cache.getOrLoad('k', async (context) => {
      await context.tag('author:7');
      return loaded(1);
    });
    expect(await cache.get('k')).toMatchObject({ level: 'l1' });
  });

  it('lets one loader replace what a tag made old, under a lease, while others wait for it', async () => {
    const [a, b] = [await replicas.add(TAGGED), await replicas.add(TAGGED)];
    await a.cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    await a.cache.invalidateTag('red');
    await replicas.clock.settle();
    const source = new Gate<Loaded<TestRow>>();
    const loads = [a, b].map(({ cache }) => cache.getOrLoad('k', () => source.promise, { tags: ['red'] }));
    await replicas.clock.advance(100);
    source.open(loaded(1));
    await replicas.clock.advance(2_000);
    expect((await Promise.all(loads)).map(({ version, stale }) => [version, stale])).toEqual([
      [at(1), false],
      [at(1), false],
    ]);
    expect(a.cache.stats().loads + b.cache.stats().loads).toBe(2);
  });

  it('shows nothing of an old tag as the last known value either', async () => {
    const { cache } = await replicas.add({ ...TAGGED, failSafeMs: 60_000, l1TtlMs: 1_000, l2TtlMs: 2_000 });
    await cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    await replicas.clock.advance(3_000);
    const down = new Error('The source is down.');
    expect(await cache.getOrLoad('k', () => Promise.reject(down))).toMatchObject({ stale: true, failure: down });
    await cache.invalidateTag('red');
    await expect(cache.getOrLoad('k', () => Promise.reject(down))).rejects.toBe(down);
  });

  it('keeps negative entries under their tags, too', async () => {
    const { cache } = await replicas.add(TAGGED);
    const nothing = async (): Promise<Loaded<TestRow>> => ({ value: undefined, version: at(1) });
    await cache.getOrLoad('k', nothing, { tags: ['red'] });
    expect(await cache.get('k')).toMatchObject({ value: undefined });
    await cache.invalidateTag('red');
    expect(await cache.get('k')).toBeUndefined();
  });

  it('clears the whole namespace in one step, and what is being loaded, but no other namespace', async () => {
    const [{ cache }, other] = [await replicas.add(TAGGED), await replicas.add({ ...TAGGED, name: 'others' })];
    await cache.getOrLoad('k', async () => loaded(1));
    await other.cache.getOrLoad('k', async () => loaded(1));
    await cache.clear();
    await replicas.clock.settle();
    expect(await cache.get('k')).toBeUndefined();
    expect(await other.cache.get('k')).toMatchObject({ level: 'l1' });
  });

  it('asks the store for tags while messages may have been lost, and believes nothing of before', async () => {
    const [a, b] = [await replicas.add(TAGGED), await replicas.add(TAGGED)];
    await a.cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    await b.cache.get('k');
    b.bus.cut();
    await a.cache.invalidateTag('red');
    expect(await b.cache.get('k')).toBeUndefined();
    b.bus.mend();
    await replicas.clock.settle();
    expect(await b.cache.get('k')).toBeUndefined();
  });

  it('takes an entry for old when the store forgot its tag: too early, never too late', async () => {
    const { cache } = await replicas.add(TAGGED);
    await cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    replicas.server.expire('{test:rows:red}:t');
    await replicas.clock.advance(1);
    const other = await replicas.add(TAGGED);
    expect(await other.cache.get('k')).toBeUndefined();
  });

  it('fails where the store cannot take the invalidation, and shows nothing of the tag until it is known again', async () => {
    const { cache, store } = await replicas.add(TAGGED);
    await cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    store.weather = { kind: 'failing' };
    await expect(cache.invalidateTag('red')).rejects.toThrow(CacheStoreUnavailableError);
    expect(cache.peek('k')).toBeUndefined();
    store.weather = { kind: 'fine' };
    expect(await cache.get('k')).toMatchObject({ value: { text: 'v1' } });
  });

  it('loads without storing where the store fails between an entry and its tags, or when the loader names one', async () => {
    const { cache, store } = await replicas.add(TAGGED);
    const other = await replicas.add(TAGGED);
    await other.cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] });
    const stamp = store.stamp.bind(store);
    store.stamp = () => Promise.reject(new Error('The connection was reset.'));
    expect(await cache.getOrLoad('k', async () => loaded(1), { tags: ['red'] })).toMatchObject({ stale: true });
    store.stamp = async (key, ttlMs) => {
      if (key.includes('author')) {
        throw new Error('The connection was reset.');
      }
      return await stamp(key, ttlMs);
    };
    const named = await cache.getOrLoad('l', async (context) => {
      await context.tag('author:7');
      return loaded(2);
    });
    expect(named).toMatchObject({ value: { text: 'v2' }, level: 'source' });
    expect(await cache.get('l')).toBeUndefined();
  });

  it('refuses tags where the namespace has none, tags that cannot be names, and too many of them', async () => {
    const { cache } = await replicas.add({ synced: false });
    await expect(cache.set('k', { text: 'x' }, at(1), { tags: ['red'] })).rejects.toThrow(/tagged: true/);
    await expect(cache.invalidateTag('red')).rejects.toThrow(ConfigurationError);
    await expect(cache.clear()).rejects.toThrow(ConfigurationError);
    const tagged = await replicas.add({ ...TAGGED, name: 'others' });
    await expect(tagged.cache.invalidateTag('*')).rejects.toThrow(InvalidCacheKeyError);
    const many = Array.from({ length: 64 }, (_, index) => `t${index}`);
    await expect(tagged.cache.getOrLoad('k', async () => loaded(1), { tags: many })).rejects.toThrow(/fewer than 64/);
  });
});
