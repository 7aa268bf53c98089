import {
  type INestApplicationContext,
  Injectable,
  Logger,
  Module,
  type ModuleMetadata,
  type Provider,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CdcModule } from '@smartpulse/cdc';
import { InMemoryChangeSource, InMemoryCheckpointStore, InProcessLeadership } from '@smartpulse/cdc/testing';
import { defineCache } from '@smartpulse/redis-cache';
import { ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DataSync } from './committed/data-sync.js';
import { SyncNotRegisteredError } from './data-sync.errors.js';
import { DataSyncModule } from './data-sync.module.js';
import { OnChange } from './decorators/on-change.decorator.js';
import { OnResync } from './decorators/on-resync.decorator.js';
import { defineChange } from './definition/change-contract.js';
import { defineSync } from './definition/sync-definition.js';
import type { KeyChanges } from './on-change/key-changes.js';
import { defineOutbox } from './outbox/outbox-definition.js';
import { SyncReader } from './read/sync.reader.js';
import { DistributedDataSyncService } from './supervise/distributed-data-sync.service.js';
import { defineEvent, PulsarModule } from '@smartpulse/pulsar';
import { InProcessTransport } from '@smartpulse/pulsar/in-process';
import { DataSyncHealthProbe } from './supervise/data-sync.health-probe.js';
import { DataSyncHarness, type HarnessReplica } from './testing/data-sync.harness.js';
import type { InMemorySnapshot } from './testing/in-memory.stamped-reader.js';
import { ScriptedStampedReader } from './testing/scripted.stamped-reader.js';
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

  it('sweeps every replica at the very stamp that a truncate does not move', async () => {
    const owner = await start();
    const other = await start({ roles: [] });
    harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 5 }));
    await during(owner.service.quiet());
    const load = (from: HarnessReplica) =>
      during(
        from
          .cache<number>('stock')
          .getOrLoad('s1', () =>
            from.reader.read<number | undefined, InMemorySnapshot>(async (snapshot) =>
              snapshot.rows('dbo.stock').size === 0 ? undefined : 5,
            ),
          ),
      );
    const before = [await load(owner), await load(other)];
    expect(before).toMatchObject([{ value: 5 }, { value: 5 }]);
    harness.source.truncate('dbo.stock');
    const [sync] = owner.dataSync.stats().syncs;
    const swept = sync?.apply?.swept ?? 0;
    await clock.until(() => (owner.dataSync.stats().syncs[0]?.apply?.swept ?? 0) > swept);
    await clock.settle();
    const after = [await load(owner), await load(other)];
    expect(after.map(({ value }) => value)).toEqual([undefined, undefined]);
    expect(after.map(({ version }) => version)).toEqual(before.map(({ version }) => version));
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

  describe('without CdcModule and RedisCacheModule', () => {
    const apps: INestApplicationContext[] = [];
    afterEach(async () => {
      await Promise.all(apps.splice(0).map((app) => during(app.close())));
    });

    /** An app with no more than it asks for. */
    async function bare(imports: NonNullable<ModuleMetadata['imports']>, providers: Provider[] = []) {
      class BareModule {}
      Module({
        imports: [
          ResilienceModule.forRoot({ clock }),
          PulsarModule.forRoot({ url: 'memory://', transport: new InProcessTransport(harness.broker) }),
          DataSyncModule.forRoot({ app: 'notifier' }),
          ...imports,
        ],
        providers,
      })(BareModule);
      const app = await during(
        NestFactory.createApplicationContext(BareModule, { logger: false, abortOnError: false }),
      );
      apps.push(app);
      return app;
    }

    const feature = (roles: readonly ('publish' | 'apply')[]) => DataSyncModule.forFeature([stockSync], { roles });
    const cdc = () =>
      CdcModule.forRoot({
        source: new InMemoryChangeSource('db', tables),
        checkpoints: new InMemoryCheckpointStore(),
        leadership: new InProcessLeadership(),
        stampedReader: new ScriptedStampedReader({ epoch: 1n, version: 1n }),
      });

    it('an app handles the changes of others, and stops cleanly', async () => {
      const seen: bigint[] = [];
      @Injectable()
      class Handler {
        @OnChange(stockChange, { subscription: 'bare' })
        handle({ changes }: KeyChanges<{ id: number; level: number }>): void {
          seen.push(...changes.map(({ version }) => version.version));
        }
      }
      const app = await bare([], [Handler]);
      const owner = await start();
      await during(owner.service.quiet());
      harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 5 }));
      await during(owner.service.quiet());
      await clock.until(() => seen.length > 0);
      expect(app.get(DataSyncHealthProbe).check()).toMatchObject({ status: 'up' });
      await expect(app.get(DataSync).committed(stockSync, [{ id: 1 }])).rejects.toThrow(SyncNotRegisteredError);
    });

    it('says what is missing where stamped data is read', async () => {
      const app = await bare([]);
      await expect(app.get(SyncReader).read(() => Promise.resolve(1))).rejects.toThrow(
        /^SyncReader: .*needs CdcModule.*Import CdcModule\.forRoot/s,
      );
      await expect(app.get(DistributedDataSyncService).quiet()).rejects.toThrow(/quiet: .*needs CdcModule/s);
    });

    it('refuses to start with a sync or an outbox that needs one of them', async () => {
      for (const roles of [['publish'], ['apply'], []] as const) {
        await expect(bare([feature(roles)])).rejects.toThrow(/DataSyncModule\.forFeature: .*needs CdcModule/s);
      }
      for (const roles of [['publish', 'apply'], ['apply'], []] as const) {
        await expect(bare([cdc(), feature(roles)])).rejects.toThrow(
          /needs RedisCacheModule.*RedisCacheModule\.forRoot/s,
        );
      }
      const event = defineEvent({ name: 'e', topic: 'e', schema: z.object({}) });
      const outbox = defineOutbox({ table: 'dbo.outbox', events: [event] });
      await expect(bare([DataSyncModule.forFeature([], { outbox })])).rejects.toThrow(/needs CdcModule/);
    });

    it('publishes without a cache, and says so where a commit is to clean one', async () => {
      const app = await bare([cdc(), feature(['publish'])]);
      await expect(app.get(DataSync).committed(stockSync, [{ id: 1 }])).rejects.toThrow(
        /^DataSync\.committed: .*needs RedisCacheModule/s,
      );
    });
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
