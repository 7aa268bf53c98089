import { Logger } from '@nestjs/common';
import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StampSourceSilentError } from '../data-sync.errors.js';
import { defineChange } from '../definition/change-contract.js';
import { defineSync } from '../definition/sync-definition.js';
import { isOutage } from '../supervise/outage.js';
import { changeEnvelope, incomingMessage, resyncEnvelope } from '../testing/messages.js';
import { ScriptedStampedReader } from '../testing/scripted.stamped-reader.js';
import { ChangeApplier } from './change.applier.js';
import { StampTrust } from './stamp.trust.js';

const contract = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({
    id: z.number(),
    level: z.string().transform((text) => (text === 'large' || text === 'bigint' ? text : Number(text))),
  }),
  version: 1,
});
const common = { table: 'dbo.stock', cache: 'stock', key: (pk: { readonly id: number }) => `s${pk.id}` } as const;
const rowSync = defineSync(contract, {
  ...common,
  shape: 'row',
  value: ({ level }) => ({ level: level === 'large' ? 'x'.repeat(1_000) : level === 'bigint' ? 1n : level }),
});
const aggregateSync = defineSync(contract, { ...common, shape: 'aggregate' });
const namespace = defineCache<unknown>({ name: 'stock', synced: true, maxPayloadBytes: 500 });

const version = (number: number, epoch = 1): EntryVersion => new EntryVersion(BigInt(epoch), BigInt(number));
const change = (id: number, number: number, level = String(number)) => ({
  pk: { id },
  version: String(number),
  row: { id, level },
});

let closing: (() => Promise<void>)[] = [];

async function setUp(options: { shape?: 'row' | 'aggregate'; isolation?: 'snapshot' | 'statement' } = {}) {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const store = new UnreliableCacheStore(new MemoryCacheStore(server), clock);
  const cache = new VersionedCache<unknown>({
    namespace,
    prefix: 'test',
    nodeId: 'a',
    store,
    clock,
    random: new SeededRandom(),
  });
  await cache.connect(new MemoryInvalidationBus(server));
  closing.push(async () => {
    await cache.close();
    server.close();
  });
  const reader = new ScriptedStampedReader({ epoch: 1n, version: 100n }, options.isolation);
  const applier = new ChangeApplier({
    sync: options.shape === 'row' ? rowSync : aggregateSync,
    cache,
    trust: new StampTrust(reader, clock),
    clock,
    source: 'db',
    refreshes: reader.isolation === 'snapshot',
  });
  const fill = async (id: number, level: number, number: number, epoch = 1): Promise<void> => {
    await cache.getOrLoad(`s${id}`, async () => ({ value: { level }, version: version(number, epoch) }));
  };
  return { applier, cache, store, reader, clock, fill };
}

beforeAll(() => Logger.overrideLogger(false));
afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
});

describe('ChangeApplier', () => {
  it("refreshes the entry of a row with the change's own stamp", async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await fill(1, 5, 5);
    await applier.handle(changeEnvelope([change(1, 7)]));
    expect(await cache.get('s1')).toMatchObject({ value: { level: 7 }, version: version(7) });
    expect(applier.stats).toMatchObject({ delivered: 1, applied: 1 });
  });

  it('invalidates the entry of an aggregate with the highest stamp', async () => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 5, 5);
    await applier.handle(changeEnvelope([change(1, 7), change(1, 6)]));
    expect(await cache.get('s1')).toBeUndefined();
    await fill(1, 7, 7);
    await applier.handle(changeEnvelope([change(1, 7)]));
    expect(await cache.get('s1')).toMatchObject({ version: version(7) });
    expect(applier.stats).toMatchObject({ applied: 1, duplicates: 1 });
  });

  it('keeps the newer value when an older change arrives late', async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await fill(1, 9, 9);
    await applier.handle(changeEnvelope([change(1, 7)]));
    await applier.handle(changeEnvelope([{ ...change(1, 8), op: 'delete', row: null }]));
    expect(await cache.get('s1')).toMatchObject({ value: { level: 9 }, version: version(9) });
    expect(applier.stats).toMatchObject({ stale: 2, applied: 0 });
  });

  it('creates nothing, however often a change comes', async () => {
    const { applier, cache } = await setUp({ shape: 'row' });
    await applier.handle(changeEnvelope([change(1, 7)]));
    await applier.handle(changeEnvelope([change(1, 7)]));
    expect(await cache.get('s1')).toBeUndefined();
    expect(applier.stats).toMatchObject({ absent: 2 });
  });

  it('ends at the newest value of every row, in whatever order envelopes come and repeat', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 20 })), {
          minLength: 1,
          maxLength: 30,
        }),
        async (history) => {
          const { applier, cache, fill } = await setUp({ shape: 'row' });
          await Promise.all([1, 2, 3].map((id) => fill(id, 0, 0)));
          for (const [id, number] of history) {
            await applier.handle(changeEnvelope([change(id, number)]));
          }
          for (const id of [1, 2, 3]) {
            const newest = Math.max(0, ...history.filter(([one]) => one === id).map(([, number]) => number));
            expect(await cache.get(`s${id}`)).toMatchObject({ value: { level: newest }, version: version(newest) });
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('makes a deleted row absent', async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await fill(1, 5, 5);
    await applier.handle(changeEnvelope([{ pk: { id: 1 }, version: '7', op: 'delete' }]));
    expect(await cache.get('s1')).toBeUndefined();
  });

  it('invalidates by keys alone, by a row that is gone again, and where loaders read their stamp in an earlier statement', async () => {
    const keysOnly = await setUp({ shape: 'row' });
    await keysOnly.fill(1, 5, 5);
    await keysOnly.applier.handle(changeEnvelope([{ ...change(1, 7), row: null }], { keysOnly: true }));
    expect(await keysOnly.cache.get('s1')).toBeUndefined();

    const gone = await setUp({ shape: 'row' });
    await gone.fill(1, 5, 5);
    await gone.applier.handle(changeEnvelope([{ ...change(1, 7), row: null }]));
    expect(await gone.cache.get('s1')).toBeUndefined();

    const statement = await setUp({ shape: 'row', isolation: 'statement' });
    await statement.fill(1, 5, 5);
    await statement.applier.handle(changeEnvelope([change(1, 7)]));
    expect(await statement.cache.get('s1')).toBeUndefined();
  });

  it('asks by its own key function, whatever key the publisher made', async () => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 5, 5);
    await applier.handle(changeEnvelope([change(1, 7)], { key: 'by-an-older-function' }));
    expect(await cache.get('s1')).toBeUndefined();
    expect(applier.stats.rekeyed).toBe(1);
  });

  it('acknowledges a change of an epoch that is over and does nothing', async () => {
    const { applier, cache, reader, fill } = await setUp();
    reader.at = { epoch: 2n, version: 3n };
    await fill(1, 5, 3, 2);
    expect(await applier.handle(changeEnvelope([change(1, 99)]))).toBeUndefined();
    expect(await cache.get('s1')).toMatchObject({ version: version(3, 2) });
    expect(applier.stats).toMatchObject({ outdated: 1, stale: 0 });
  });

  it('dead-letters a stamp that the database has not reached, and evicts instead of believing it', async () => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 5, 5);
    const forged = changeEnvelope([change(1, 101)]);
    expect(await applier.handle(forged)).toMatchObject({ settlement: 'deadLetter' });
    expect(await cache.get('s1')).toMatchObject({ version: version(5) });
    await applier.deadLettered(
      incomingMessage({ properties: { 'sp-key': 's1', 'sp-epoch': '1', 'sp-version': '101' } }),
    );
    expect(await cache.get('s1')).toBeUndefined();
    await fill(1, 5, 5);
    expect(await cache.get('s1')).toMatchObject({ version: version(5) });
    expect(applier.stats).toMatchObject({ untrusted: 1, deadLettered: 1 });
  });

  it('lets later loads in after a forged stamp met a load under way', async () => {
    const { applier, cache, fill } = await setUp();
    let finish = (): void => {};
    const loading = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const early = cache.getOrLoad('s1', async () => {
      await loading;
      return { value: { level: 5 }, version: version(5) };
    });
    await new Promise((resolve) => setImmediate(resolve));
    await applier.deadLettered(
      incomingMessage({ properties: { 'sp-key': 's1', 'sp-epoch': '1', 'sp-version': '101' } }),
    );
    finish();
    await early;
    await fill(1, 5, 5);
    expect(await cache.get('s1')).toMatchObject({ version: version(5), stale: false });
  });

  it('calls a database that does not answer an outage', async () => {
    const { applier, reader } = await setUp();
    reader.failure = new Error('connection refused');
    await expect(applier.handle(changeEnvelope([change(1, 7)]))).rejects.toThrow(StampSourceSilentError);
    expect(applier.stats.delivered).toBe(0);
  });

  it('dead-letters a row that the schema refuses and invalidates its key by the stamp in the properties', async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await fill(1, 5, 5);
    const unreadable = changeEnvelope([{ ...change(1, 7), row: { id: 'one', level: '7' } }]);
    expect(await applier.handle(unreadable)).toMatchObject({
      settlement: 'deadLetter',
      reason: expect.stringContaining('id') as unknown,
    });
    await applier.deadLettered(incomingMessage({ properties: { 'sp-key': 's1', 'sp-epoch': '1', 'sp-version': '7' } }));
    expect(await cache.get('s1')).toBeUndefined();
  });

  it('keeps a newer entry when an older message turns out to be unreadable, and evicts where there is no stamp', async () => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 9, 9);
    await applier.deadLettered(incomingMessage({ properties: { 'sp-key': 's1', 'sp-epoch': '1', 'sp-version': '7' } }));
    expect(await cache.get('s1')).toMatchObject({ version: version(9) });
    await applier.deadLettered(incomingMessage({ key: 's1' }));
    expect(await cache.get('s1')).toBeUndefined();
  });

  it('lets go of a dead letter whose key is none, instead of taking it for ever', async () => {
    const { applier } = await setUp();
    await expect(applier.deadLettered(incomingMessage({ key: '{*}' }))).resolves.toBeUndefined();
    await expect(applier.deadLettered(incomingMessage())).resolves.toBeUndefined();
  });

  it.each([{ table: 'dbo.other' }, { source: 'another-db' }])('dead-letters an envelope of %o', async (overrides) => {
    const { applier } = await setUp();
    expect(await applier.handle(changeEnvelope([change(1, 7)], overrides))).toMatchObject({ settlement: 'deadLetter' });
  });

  it('sweeps everything up to the stamp at which a table is read anew, also what it never saw a change of', async () => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 7, 8);
    await fill(2, 7, 9);
    await applier.handle(resyncEnvelope('started', '8'));
    expect(await cache.get('s1')).toBeUndefined();
    expect(await cache.get('s2')).toMatchObject({ version: version(9) });
    await fill(1, 9, 9);
    await applier.handle(resyncEnvelope('completed', '9'));
    expect(await cache.get('s1')).toMatchObject({ version: version(9) });
    expect(applier.stats.swept).toBe(1);
  });

  it('refuses the load from before a resync although nothing moved the version', async () => {
    const { applier, cache } = await setUp();
    let finish = (): void => {};
    const loading = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let runs = 0;
    const early = cache.getOrLoad('s1', async () => {
      const value = runs++ === 0 ? 'before' : 'after';
      await (value === 'before' ? loading : undefined);
      return { value, version: version(8) };
    });
    await new Promise((resolve) => setImmediate(resolve));
    await applier.handle(resyncEnvelope('started', '8'));
    finish();
    expect(await early).toMatchObject({ value: 'after', stale: false });
    expect(await cache.get('s1')).toMatchObject({ value: 'after' });
  });

  it('calls a cache that fails an outage, and sweeps when the resync comes again', async () => {
    const { applier, cache, store, fill } = await setUp();
    await fill(1, 7, 8);
    store.weather = { kind: 'failing' };
    const failure: unknown = await applier.handle(resyncEnvelope('started', '8')).catch((error: unknown) => error);
    expect(isOutage(failure)).toBe(true);
    store.weather = { kind: 'fine' };
    await applier.handle(resyncEnvelope('started', '8'));
    await applier.handle(resyncEnvelope('started', '8'));
    expect(await cache.get('s1')).toBeUndefined();
    expect(applier.stats).toMatchObject({ delivered: 2, swept: 1 });
  });

  it.each([
    ['whose payload cannot be read, by the stamp in its properties', '50', false],
    ['whose stamp the source has not reached, up to where the source is', '1000', true],
    ['whose stamp cannot be read, up to where the source is', 'x', true],
  ])('sweeps for a dead-lettered resync %s', async (_, stamp, all) => {
    const { applier, cache, fill } = await setUp();
    await fill(1, 5, 50);
    await fill(2, 5, 60);
    const properties = { 'sp-kind': 'resync', 'sp-table': 'dbo.stock', 'sp-epoch': '1', 'sp-version': stamp };
    await applier.deadLettered(incomingMessage({ properties: { ...properties, 'sp-table': 'dbo.other' } }));
    await applier.deadLettered(incomingMessage({ properties: { ...properties, 'sp-kind': 'heartbeat' } }));
    expect(await cache.get('s1')).toMatchObject({ version: version(50) });
    await applier.deadLettered(incomingMessage({ properties }));
    expect(await cache.get('s1')).toBeUndefined();
    expect((await cache.get('s2')) === undefined).toBe(all);
  });

  it('applies the other changes of an envelope with one that cannot be read, whose own key it invalidates', async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await Promise.all([1, 2, 3].map((id) => fill(id, 5, 5)));
    const envelope = changeEnvelope([change(1, 7), { ...change(2, 8), row: { id: 'two' } }, change(3, 9)], {
      key: 'by-an-older-function',
    });
    expect(await applier.handle(envelope)).toMatchObject({ settlement: 'deadLetter' });
    expect(await cache.get('s1')).toMatchObject({ version: version(7) });
    expect(await cache.get('s2')).toBeUndefined();
    expect(await cache.get('s3')).toMatchObject({ version: version(9) });

    const aggregate = await setUp();
    await Promise.all([1, 3].map((id) => aggregate.fill(id, 5, 5)));
    const keyless = changeEnvelope([{ pk: {}, version: '6', row: {} }, change(1, 7), change(3, 9)]);
    expect(await aggregate.applier.handle(keyless)).toMatchObject({ settlement: 'deadLetter' });
    expect(await aggregate.cache.get('s1')).toBeUndefined();
    expect(await aggregate.cache.get('s3')).toBeUndefined();
  });

  it('invalidates instead of refreshing what is too large for the cache, and dead-letters what has no text', async () => {
    const { applier, cache, fill } = await setUp({ shape: 'row' });
    await Promise.all([1, 2].map((id) => fill(id, 5, 5)));
    expect(await applier.handle(changeEnvelope([{ ...change(1, 7), row: { id: 1, level: 'large' } }]))).toBeUndefined();
    expect(await cache.get('s1')).toBeUndefined();
    const refused = await applier.handle(changeEnvelope([{ ...change(2, 7), row: { id: 2, level: 'bigint' } }]));
    expect(refused).toMatchObject({ settlement: 'deadLetter', reason: expect.stringContaining('encoded') as unknown });
    expect(await cache.get('s2')).toBeUndefined();
  });

  it('measures commit to cache, of changes and not of snapshots', async () => {
    const { applier, clock } = await setUp();
    const committedAt = new Date(clock.now()).toISOString();
    await clock.advance(40);
    await applier.handle(changeEnvelope([change(1, 7)], { committedAt }));
    await applier.handle(
      changeEnvelope([{ ...change(2, 7), op: 'snapshot' }], { committedAt: '2000-01-01T00:00:00.000Z' }),
    );
    expect(applier.lag).toEqual({ count: 1, p50Ms: 40, p99Ms: 40, maxMs: 40 });
  });

  it('raises the floor of a load under way, so that the older load is refused', async () => {
    const { applier, cache } = await setUp();
    let finish = (): void => {};
    const loading = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let runs = 0;
    const read = cache.getOrLoad('s1', async () => {
      runs++;
      const stamp = runs === 1 ? 5 : 7;
      await (runs === 1 ? loading : undefined);
      return { value: { level: stamp }, version: version(stamp) };
    });
    await new Promise((resolve) => setImmediate(resolve));
    await applier.handle(changeEnvelope([change(1, 7)]));
    finish();
    await read;
    expect(await cache.get('s1')).toMatchObject({ version: version(7) });
    expect(applier.stats.deferred).toBe(1);
  });
});
