import { InProcessPollSignal } from '@smartpulse/cdc';
import { CacheStoreUnavailableError, defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InvalidKeyTextError, SyncNotRegisteredError } from '../data-sync.errors.js';
import { defineChange } from '../definition/change-contract.js';
import { defineSync } from '../definition/sync-definition.js';
import { SyncReader } from '../read/sync.reader.js';
import { SyncRegistry } from '../registry/sync.registry.js';
import { SyncActivity } from '../supervise/sync.activity.js';
import { wrongly } from '../testing/wrongly.js';
import { ScriptedStampedReader } from '../testing/scripted.stamped-reader.js';
import { DataSync } from './data-sync.js';

const contract = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.number() }),
  version: 1,
});
const sync = defineSync(contract, {
  table: 'dbo.stock',
  cache: 'stock',
  shape: 'aggregate',
  key: (pk) => `s${Math.floor(pk.id / 10)}`,
});
const namespace = defineCache<unknown>({ name: 'stock', synced: true });

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
});

async function setUp() {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const store = new UnreliableCacheStore(new MemoryCacheStore(server), clock);
  const parts = { namespace, prefix: 'test', clock, random: new SeededRandom() };
  const cache = new VersionedCache<unknown>({ ...parts, nodeId: 'a', store });
  const replica = new VersionedCache<unknown>({ ...parts, nodeId: 'b', store: new MemoryCacheStore(server) });
  await cache.connect(new MemoryInvalidationBus(server));
  await replica.connect(new MemoryInvalidationBus(server));
  closing.push(async () => {
    await Promise.all([cache.close(), replica.close()]);
    server.close();
  });
  const registry = new SyncRegistry();
  registry.add('test', sync, []);
  const reader = new ScriptedStampedReader({ epoch: 1n, version: 5n });
  const signal = new InProcessPollSignal();
  const nudges: string[] = [];
  signal.onNudge('dbo.stock', () => nudges.push('dbo.stock'));
  const caches = { has: (name: string) => name === 'stock', get: () => cache };
  const dataSync = new DataSync({
    registry,
    caches,
    reader,
    signal,
    activity: new SyncActivity(),
    committedConcurrency: 2,
  });
  const load = (from: VersionedCache<unknown>, key: string, value: string) => {
    const syncReader = new SyncReader(reader);
    return from.getOrLoad(key, () => syncReader.read<string, null>(() => Promise.resolve(value)));
  };
  return { clock, cache, replica, reader, dataSync, nudges, load, store };
}

describe('DataSync.committed', () => {
  it('makes the writer read its own write at once, and other replicas one hop later', async () => {
    const { cache, replica, reader, dataSync, load, clock } = await setUp();
    await load(cache, 's0', 'old');
    await load(replica, 's0', 'old');
    reader.at = { epoch: 1n, version: 6n };
    await dataSync.committed(sync, [{ id: 3 }]);
    expect(cache.peek('s0')).toBeUndefined();
    expect(await load(cache, 's0', 'new')).toMatchObject({ value: 'new', version: new EntryVersion(1n, 6n) });
    await clock.settle();
    expect(await load(replica, 's0', 'unused')).toMatchObject({ value: 'new' });
  });

  it('asks for the stamp once and invalidates each key once, however many rows were committed', async () => {
    const { cache, reader, dataSync, nudges } = await setUp();
    const before = cache.stats().changesSent;
    await dataSync.committed(
      sync,
      Array.from({ length: 50 }, (_, id) => ({ id })),
    );
    expect(reader.questions).toBe(1);
    expect(cache.stats().changesSent - before).toBe(5);
    expect(nudges).toEqual(['dbo.stock']);
  });

  it('does nothing when nothing was committed', async () => {
    const { reader, dataSync, nudges } = await setUp();
    await dataSync.committed(sync, []);
    expect([reader.questions, nudges.length]).toEqual([0, 0]);
  });

  it('keeps the entry that a reader loaded after the commit', async () => {
    const { cache, reader, dataSync, load } = await setUp();
    reader.at = { epoch: 1n, version: 6n };
    await load(cache, 's0', 'new');
    await dataSync.committed(sync, [{ id: 3 }]);
    expect(await cache.get('s0')).toMatchObject({ value: 'new' });
  });

  it('refuses an older load under way that ends after it', async () => {
    const { cache, reader, dataSync, load } = await setUp();
    let finish = (): void => {};
    const slow = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let value = 'old';
    const syncReader = new SyncReader(reader);
    const early = cache.getOrLoad('s0', () =>
      syncReader.read<string, null>(async () => {
        const seen = value;
        await (seen === 'old' ? slow : undefined);
        return seen;
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    value = 'new';
    reader.at = { epoch: 1n, version: 6n };
    await dataSync.committed(sync, [{ id: 3 }]);
    const later = load(cache, 's0', 'new');
    finish();
    expect(await later).toMatchObject({ value: 'new' });
    await early;
    expect(await cache.get('s0')).toMatchObject({ value: 'new' });
  });

  it('cleans its own first level of every key and nudges also when the store is down, and says so', async () => {
    const { cache, reader, dataSync, load, nudges, store } = await setUp();
    const keys = ['s0', 's1', 's2', 's3', 's4'];
    await Promise.all(keys.map((key) => load(cache, key, 'old')));
    expect(keys.map((key) => cache.peek(key))).toEqual(Array(5).fill('old'));
    reader.at = { epoch: 1n, version: 6n };
    store.weather = { kind: 'failing' };
    await expect(dataSync.committed(sync, [{ id: 3 }, { id: 13 }, { id: 23 }, { id: 33 }, { id: 43 }])).rejects.toThrow(
      CacheStoreUnavailableError,
    );
    expect(keys.map((key) => cache.peek(key))).toEqual(Array(5).fill(undefined));
    expect(nudges).toEqual(['dbo.stock']);
  });

  it('refuses a sync that the app was not given and a key that is none', async () => {
    const { dataSync } = await setUp();
    const other = defineSync(contract, { table: 'dbo.other', cache: 'stock', shape: 'aggregate', key: () => 'k' });
    await expect(dataSync.committed(other, [{ id: 1 }])).rejects.toThrow(SyncNotRegisteredError);
    await expect(dataSync.committed(sync, [wrongly({})])).rejects.toThrow(InvalidKeyTextError);
  });
});
