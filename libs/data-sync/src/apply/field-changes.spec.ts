import { Logger } from '@nestjs/common';
import {
  type CacheFields,
  defineFieldsCache,
  EntryVersion,
  type FieldsNamespaceOptions,
  VersionedFieldsCache,
} from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryFieldsStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChange } from '../definition/change-contract.js';
import { defineSync } from '../definition/sync-definition.js';
import { changeEnvelope, incomingMessage, resyncEnvelope } from '../testing/messages.js';
import { ScriptedStampedReader } from '../testing/scripted.stamped-reader.js';
import { ChangeApplier } from './change.applier.js';
import { StampTrust } from './stamp.trust.js';

const contract = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['depot', 'id'],
  schema: z.object({ depot: z.string(), id: z.number(), level: z.string() }),
  version: 1,
});
const sync = defineSync(contract, {
  table: 'dbo.stock',
  cache: 'depots',
  shape: 'fields',
  key: (pk) => `d${pk.depot}`,
  field: (pk) => `s${pk.id}`,
  value: ({ level }) => (level === 'bigint' ? 1n : level === 'large' ? 'x'.repeat(1_000) : level),
});
const version = (number: number): EntryVersion => new EntryVersion(1n, BigInt(number));
const change = (id: number, number: number, level = String(number)) => ({
  pk: { depot: 'A', id },
  version: String(number),
  row: { depot: 'A', id, level },
});
const deletion = (id: number, number: number) => ({
  pk: { depot: 'A', id },
  version: String(number),
  op: 'delete' as const,
});
const shown = (fields: CacheFields<unknown> | undefined): unknown =>
  fields && Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));

let closing: (() => Promise<void>)[] = [];

async function setUp(
  options: Partial<FieldsNamespaceOptions<unknown>> = {},
  isolation: 'snapshot' | 'statement' = 'snapshot',
) {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const cache = new VersionedFieldsCache<unknown>({
    namespace: defineFieldsCache<unknown>({ name: 'depots', synced: true, maxPayloadBytes: 800, ...options }),
    prefix: 'test',
    nodeId: 'a',
    store: new MemoryFieldsStore(server),
    clock,
    random: new SeededRandom(),
  });
  await cache.whole.connect(new MemoryInvalidationBus(server));
  closing.push(async () => {
    await cache.whole.close();
    server.close();
  });
  const reader = new ScriptedStampedReader({ epoch: 1n, version: 100n }, isolation);
  const applier = new ChangeApplier({
    sync,
    cache: cache.whole,
    fields: cache,
    trust: new StampTrust(reader, clock),
    clock,
    source: 'db',
    refreshes: reader.isolation === 'snapshot',
  });
  const fill = async (base: number, ...ids: readonly number[]): Promise<void> => {
    const value = Object.fromEntries(ids.map((id) => [`s${id}`, String(base)]));
    await cache.getOrLoad('dA', async () => ({ value, version: version(base) }));
  };
  const holds = async (): Promise<unknown> => shown((await cache.get('dA'))?.value);
  return { applier, cache, fill, holds };
}

beforeAll(() => Logger.overrideLogger(false));
afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
});

describe('ChangeApplier of fields', () => {
  it('stores each changed row as a field, in one step per key, also a row that is new', async () => {
    const { applier, cache, fill, holds } = await setUp();
    await fill(5, 1, 2);
    await applier.handle(changeEnvelope([change(1, 7), change(3, 6), change(1, 6)]));
    expect(await holds()).toEqual({ s1: '7', s2: '5', s3: '6' });
    expect((await cache.get('dA'))?.version).toEqual(new EntryVersion(1n, 5n, 1n));
    expect(applier.stats).toMatchObject({ applied: 2, delivered: 1 });
  });

  it('leaves a tombstone of a deleted row: a replayed older change brings nothing back', async () => {
    const { applier, fill, holds } = await setUp();
    await fill(5, 1, 2);
    await applier.handle(changeEnvelope([deletion(1, 8)]));
    await applier.handle(changeEnvelope([change(1, 7), change(2, 5)]));
    expect(await holds()).toEqual({ s2: '5' });
    expect(applier.stats).toMatchObject({ applied: 1, stale: 1, duplicates: 1 });
  });

  it('creates no hash, however often a change comes, and raises the floor of a load under way', async () => {
    const { applier, cache, holds } = await setUp();
    await applier.handle(changeEnvelope([change(1, 7)]));
    expect(await holds()).toBeUndefined();
    let runs = 0;
    const load = cache.getOrLoad('dA', async () => {
      if (runs++ === 0) {
        await applier.handle(changeEnvelope([change(1, 9)]));
      }
      return { value: { s1: runs === 1 ? 'before' : 'after' }, version: version(runs === 1 ? 8 : 9) };
    });
    expect(shown((await load).value)).toEqual({ s1: 'after' });
    expect(applier.stats).toMatchObject({ absent: 1, deferred: 1 });
  });

  it('ends at the newest of every row, in whatever order envelopes come and repeat', async () => {
    const one = fc.record({ id: fc.integer({ min: 1, max: 3 }), at: fc.integer({ min: 1, max: 20 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(one, { minLength: 1, maxLength: 4 }), { maxLength: 15 }),
        async (envelopes) => {
          const { applier, fill, holds } = await setUp();
          await fill(0, 1, 2, 3);
          // Of one row, one version is one change: every fourth is its deletion.
          const changes = envelopes.map((all) =>
            all.map(({ id, at }) => (at % 4 === 0 ? deletion(id, at) : change(id, at))),
          );
          for (const list of changes) {
            await applier.handle(changeEnvelope(list));
          }
          const newest = [1, 2, 3].map((id) =>
            Math.max(0, ...envelopes.flat().flatMap((of) => (of.id === id ? [of.at] : []))),
          );
          const left = newest.flatMap((at, index) => (at > 0 && at % 4 === 0 ? [] : [[`s${index + 1}`, String(at)]]));
          expect(await holds()).toEqual(Object.fromEntries(left));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes the hash away by the stamp of what it cannot read, and applies the others', async () => {
    const { applier, fill, holds } = await setUp();
    await fill(5, 1, 2);
    const refused = await applier.handle(
      changeEnvelope([{ ...change(1, 7), row: { depot: 'A', id: 'one' } }, change(2, 8)]),
    );
    expect(refused).toMatchObject({ settlement: 'deadLetter' });
    expect(await holds()).toBeUndefined();
    await fill(7, 1, 2);
    await applier.handle(changeEnvelope([{ ...change(1, 7), row: { depot: 'A', id: 'one' } }, change(2, 8)]));
    expect(await holds()).toEqual({ s1: '7', s2: '8' });
  });

  it('takes the hash away for a row that is gone again, and for keys alone', async () => {
    for (const envelope of [
      changeEnvelope([{ ...change(1, 7), row: null }]),
      changeEnvelope([{ ...change(1, 7), row: null }], { keysOnly: true }),
    ]) {
      const { applier, fill, holds } = await setUp();
      await fill(5, 1);
      await applier.handle(envelope);
      expect(await holds()).toBeUndefined();
    }
  });

  it('takes the hash away for what is too large or too much for the cache, and dead-letters what has no text', async () => {
    const large = await setUp();
    await large.fill(5, 1, 2);
    expect(await large.applier.handle(changeEnvelope([change(1, 7, 'large'), change(2, 6)]))).toBeUndefined();
    expect(await large.holds()).toBeUndefined();

    const many = await setUp({ maxFields: 2 });
    await many.fill(5, 1, 2);
    expect(await many.applier.handle(changeEnvelope([change(3, 7)]))).toBeUndefined();
    expect(await many.holds()).toBeUndefined();

    const textless = await setUp();
    await textless.fill(7, 1, 2);
    const refused = await textless.applier.handle(changeEnvelope([change(1, 7, 'bigint'), change(2, 8)]));
    expect(refused).toMatchObject({ settlement: 'deadLetter', reason: expect.stringContaining('encoded') as unknown });
    expect(await textless.holds()).toEqual({ s1: '7', s2: '8' });
  });

  it('only invalidates where loaders read their stamp in an earlier statement', async () => {
    const { applier, fill, holds } = await setUp({}, 'statement');
    await fill(5, 1);
    await applier.handle(changeEnvelope([change(1, 7)]));
    expect(await holds()).toBeUndefined();
  });

  it('sweeps by the base when a table is read anew, and invalidates by it for a dead letter', async () => {
    const { applier, fill, holds } = await setUp();
    await fill(5, 1);
    await applier.handle(changeEnvelope([change(1, 9)]));
    await applier.handle(resyncEnvelope('started', '5'));
    expect(await holds()).toBeUndefined();
    await fill(9, 1);
    await applier.handle(changeEnvelope([change(1, 10)]));
    const properties = { 'sp-key': 'dA', 'sp-epoch': '1', 'sp-version': '9' };
    await applier.deadLettered(incomingMessage({ properties }));
    expect(await holds()).toEqual({ s1: '10' });
    await applier.deadLettered(incomingMessage({ properties: { ...properties, 'sp-version': '10' } }));
    expect(await holds()).toBeUndefined();
  });
});
