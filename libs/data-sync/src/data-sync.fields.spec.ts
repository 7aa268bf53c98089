import { Logger } from '@nestjs/common';
import { defineCache, defineFieldsCache } from '@smartpulse/redis-cache';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChange } from './definition/change-contract.js';
import { defineSync } from './definition/sync-definition.js';
import { DataSyncHarness, type HarnessReplica } from './testing/data-sync.harness.js';
import type { InMemorySnapshot } from './testing/in-memory.stamped-reader.js';

const hours = { table: 'dbo.hours', primaryKey: ['day', 'hour'], columns: ['day', 'hour', 'mwh'] };
const hourChange = defineChange({
  name: 'hours',
  topic: 'hour-changes',
  primaryKey: ['day', 'hour'],
  schema: z.object({ day: z.string(), hour: z.number(), mwh: z.number() }),
  version: 1,
});
const hourSync = defineSync(hourChange, {
  table: 'dbo.hours',
  cache: 'days',
  shape: 'fields',
  key: (pk) => pk.day,
  field: (pk) => String(pk.hour),
  value: (row) => row.mwh,
});
const days = defineFieldsCache<number>({ name: 'days', synced: true });

describe('shape "fields"', () => {
  let clock: VirtualClock;
  let harness: DataSyncHarness;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    clock = new VirtualClock();
    harness = new DataSyncHarness({ tables: [hours], clock });
  });
  afterEach(() => during(harness.close()));

  /** Waits for `work` while time goes on. */
  async function during<T>(work: Promise<T>): Promise<T> {
    const progress = { settled: false };
    const settle = (): void => {
      progress.settled = true;
    };
    work.then(settle, settle);
    for (let step = 0; step < 5_000 && !progress.settled; step++) {
      await clock.advance(20);
    }
    return await work;
  }

  const start = (extra: Partial<Parameters<DataSyncHarness['start']>[0]> = {}): Promise<HarnessReplica> =>
    during(harness.start({ app: 'hours', syncs: [hourSync], roles: ['publish', 'apply'], caches: [days], ...extra }));

  const commit = (hour: number, mwh: number | undefined): unknown =>
    harness.source.commit((tx) =>
      mwh === undefined
        ? tx.delete('dbo.hours', { day: 'monday', hour })
        : tx.upsert('dbo.hours', { day: 'monday', hour, mwh }),
    );

  const load = (replica: HarnessReplica): Promise<Record<string, number>> =>
    replica
      .fields<number>('days')
      .getOrLoad('monday', async () => {
        const { value: rows, version } = await replica.reader.read(async (snapshot: InMemorySnapshot) => [
          ...snapshot.rows('dbo.hours').values(),
        ]);
        return { value: Object.fromEntries(rows.map((row) => [String(row['hour']), Number(row['mwh'])])), version };
      })
      .then(({ value }) =>
        Object.fromEntries(Object.entries(value ?? {}).map(([hour, { value: mwh }]) => [hour, mwh])),
      );

  const loads = (replica: HarnessReplica): number => replica.fields('days').whole.stats().loads;

  it('brings changed and deleted rows to the hashes of every replica, and loads nothing anew for them', async () => {
    const [a, b] = [await start(), await start({ roles: ['apply'] })];
    [1, 2, 3].forEach((hour) => commit(hour, hour * 10));
    await during(a.service.quiet());
    expect([await load(a), await load(b)]).toEqual([
      { 1: 10, 2: 20, 3: 30 },
      { 1: 10, 2: 20, 3: 30 },
    ]);
    commit(2, 21);
    commit(3, undefined);
    commit(4, 40);
    await during(a.service.quiet());
    await clock.settle();
    expect([await load(a), await load(b)]).toEqual([
      { 1: 10, 2: 21, 4: 40 },
      { 1: 10, 2: 21, 4: 40 },
    ]);
    expect(loads(a) + loads(b)).toBe(1);
  });

  it('shows a writer its own commit at once: the hash is loaded anew', async () => {
    const a = await start();
    commit(1, 10);
    await during(a.service.quiet());
    await load(a);
    commit(1, 11);
    await during(a.dataSync.committed(hourSync, [{ day: 'monday', hour: 1 }]));
    expect(await load(a)).toEqual({ 1: 11 });
  });

  it('needs a cache of fields, and the other shapes one of values', async () => {
    const values = defineCache<number>({ name: 'days', synced: true });
    await expect(start({ caches: [values] })).rejects.toThrow('declared with defineFieldsCache');
    const rows = defineSync(hourChange, {
      table: 'dbo.hours',
      cache: 'days',
      shape: 'aggregate',
      key: (pk) => pk.day,
    });
    await expect(start({ syncs: [rows] })).rejects.toThrow('declared with defineCache');
  });
});
