import { Injectable, Logger, Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { defineCache } from '@smartpulse/redis-cache';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DataSyncModule } from './data-sync.module.js';
import { OnChange } from './decorators/on-change.decorator.js';
import { OnResync } from './decorators/on-resync.decorator.js';
import { defineChange } from './definition/change-contract.js';
import { defineSync } from './definition/sync-definition.js';
import type { KeyChanges } from './on-change/key-changes.js';
import { defineOutbox } from './outbox/outbox-definition.js';
import { defineEvent } from '@smartpulse/pulsar';
import { DataSyncHealthProbe } from './supervise/data-sync.health-probe.js';
import { DataSyncHarness, type HarnessReplica } from './testing/data-sync.harness.js';
import { wrongly } from './testing/wrongly.js';

const stockChange = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.number() }),
  version: 1,
});
const options = { table: 'dbo.stock', cache: 'stock', key: (pk: { readonly id: number }) => `s${pk.id}` } as const;
const stockSync = defineSync(stockChange, { ...options, shape: 'row', value: (row) => row.level });
const stockCache = defineCache<number>({ name: 'stock', synced: true });
const tables = [{ table: 'dbo.stock', primaryKey: ['id'], columns: ['id', 'level'] }];

describe('DataSyncModule', () => {
  let clock: VirtualClock;
  let harness: DataSyncHarness;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    clock = new VirtualClock();
    harness = new DataSyncHarness({ tables, clock });
  });
  afterEach(async () => {
    await during(harness.close());
  });

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
    during(
      harness.start({ app: 'stock', syncs: [stockSync], roles: ['publish', 'apply'], caches: [stockCache], ...extra }),
    );

  const withHandlers = (provider: Provider): Promise<HarnessReplica> => start({ providers: [provider] });

  it('brings a row from its commit into the cache, in virtual time', async () => {
    const replica = await start();
    harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 5 }));
    await during(replica.service.quiet());
    const cache = replica.cache<number>('stock');
    await during(cache.getOrLoad('s1', () => replica.reader.read<number, null>(() => Promise.resolve(5))));
    harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 8 }), { atMs: clock.now() });
    await during(replica.service.quiet());
    expect(await cache.get('s1')).toMatchObject({ value: 8 });
    expect(replica.dataSync.stats().syncs).toMatchObject([
      { name: 'stock', publish: { poison: 0 }, apply: { applied: 1 } },
    ]);
    expect(replica.app.get(DataSyncHealthProbe).check()).toMatchObject({
      status: 'up',
      details: { 'stock.applied': 1 },
    });
    expect(replica.app.get(DataSyncHealthProbe).started()).toBe(true);
  });

  it('leaves no timer behind when it stops under load', async () => {
    const replica = await start();
    const writes = Array.from({ length: 50 }, (_, id) =>
      harness.source.commit((tx) => tx.upsert('dbo.stock', { id, level: id })),
    );
    expect(writes).toHaveLength(50);
    const quiet = replica.service.quiet().catch((error: unknown) => error);
    await during(harness.close());
    expect(await quiet).toSatisfy((error: unknown) => error === undefined || error instanceof Error);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says what still moves when it does not become quiet in time', async () => {
    const replica = await start({ roles: ['publish'] });
    await during(replica.service.quiet());
    const [tracker] = replica.trackers.list();
    await during(tracker?.stop() ?? Promise.resolve(true));
    harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 5 }));
    await expect(during(replica.service.quiet({ timeoutMs: 500 }))).rejects.toThrow(
      /not quiet after 500 ms: dbo\.stock/,
    );
  });

  it('refuses a cache that is not defined, and one that changes could create entries in', async () => {
    await expect(start({ caches: [] })).rejects.toThrow(/"syncs\.stock\.cache": the cache "stock" is not defined/);
    const unsynced = defineCache<number>({ name: 'stock', synced: false });
    await expect(start({ caches: [unsynced] })).rejects.toThrow(/not declared `synced: true`/);
  });

  it('needs no cache where it only publishes', async () => {
    const replica = await start({ roles: ['publish'], caches: [] });
    expect(replica.dataSync.stats().syncs[0]?.apply).toBeUndefined();
  });

  it('refuses a table, a topic or a contract for the second time', async () => {
    const otherContract = defineChange({ ...stockChange, primaryKey: ['id'], name: 'other', topic: 'other' });
    const sameTable = defineSync(otherContract, { ...options, shape: 'aggregate' });
    await expect(start({ syncs: [stockSync, sameTable] })).rejects.toThrow(
      /table "dbo\.stock" belongs to the sync "stock" already/,
    );
    const sameTopic = defineSync(defineChange({ ...stockChange, primaryKey: ['id'], name: 'other' }), {
      ...options,
      table: 'dbo.other',
      shape: 'aggregate',
    });
    await expect(start({ syncs: [stockSync, sameTopic] })).rejects.toThrow(/topic "stock-changes" belongs/);
    const event = defineEvent({ name: 'e', topic: 'e', schema: z.object({}) });
    await expect(start({ outbox: defineOutbox({ table: 'dbo.stock', events: [event] }) })).rejects.toThrow(
      /table "dbo\.stock" is followed already/,
    );
  });

  it('refuses unknown roles and names of apps that are none', () => {
    expect(() => DataSyncModule.forFeature([], { roles: [wrongly('read')] })).toThrow(
      /"roles\.0": expected "publish" or "apply"/,
    );
    expect(() => DataSyncModule.forRoot({ app: 'My App' })).toThrow(/"app": expected lower-case letters/);
    expect(() => DataSyncModule.forRoot(wrongly({ app: 'a', aply: 1 }))).toThrow(ConfigurationError);
  });

  it('says what to do about forFeature without forRoot', async () => {
    class AppModule {}
    Module({ imports: [DataSyncModule.forFeature([stockSync], { roles: [] })] })(AppModule);
    await expect(
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
    ).rejects.toThrow(/Import DataSyncModule\.forRoot/);
  });

  it('refuses two handlers that would share one subscription, and a resync handler without a feed', async () => {
    @Injectable()
    class Twice {
      @OnChange(stockChange, { subscription: 'same' })
      one(_changes: KeyChanges<{ id: number; level: number }>): void {}
      @OnChange(stockChange, { subscription: 'same' })
      two(): void {}
    }
    await expect(withHandlers(Twice)).rejects.toThrow(/"same" belongs to Twice\.one already/);

    @Injectable()
    class Alone {
      @OnResync(stockChange, { subscription: 'nobody' })
      resynced(): void {}
    }
    await expect(withHandlers(Alone)).rejects.toThrow(/no @OnChange method of "stock" has the subscription "nobody"/);
  });

  it('refuses a handler with wrong options by the name of its class', async () => {
    @Injectable()
    class Wrong {
      @OnChange(stockChange, { subscription: 'has space', concurrency: 0 })
      handle(): void {}
    }
    await expect(withHandlers(Wrong)).rejects.toThrow(
      /@OnChange on Wrong\.handle: option "subscription".*option "concurrency"/,
    );
  });
});
