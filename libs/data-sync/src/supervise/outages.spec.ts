import { Injectable, Logger } from '@nestjs/common';
import { type ChangeVersion, InProcessPollSignal, type Stamped, StampedReader } from '@smartpulse/cdc';
import { InMemoryCheckpointStore, InProcessLeadership } from '@smartpulse/cdc/testing';
import { BacklogQuotaError, bytesCodec } from '@smartpulse/pulsar';
import { defineCache } from '@smartpulse/redis-cache';
import { UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { OnChange } from '../decorators/on-change.decorator.js';
import { defineChange } from '../definition/change-contract.js';
import { defineSync } from '../definition/sync-definition.js';
import { encodeEnvelope } from '../envelope/envelope.codec.js';
import { envelopeProperties } from '../envelope/envelope-properties.js';
import { DataSyncHarness, type HarnessReplica } from '../testing/data-sync.harness.js';
import { InMemoryStampedReader, type InMemorySnapshot } from '../testing/in-memory.stamped-reader.js';
import { changeEnvelope, resyncEnvelope } from '../testing/messages.js';

const stockChange = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.number() }),
  version: 1,
});
const stockSync = defineSync(stockChange, {
  table: 'dbo.stock',
  cache: 'stock',
  key: (pk) => `s${pk.id}`,
  shape: 'row',
  value: (row) => row.level,
});
const stockCache = defineCache<number>({ name: 'stock', synced: true, l1TtlMs: 86_400_000, l2TtlMs: 86_400_000 });
const tables = [{ table: 'dbo.stock', primaryKey: ['id'], columns: ['id', 'level'] }];
const DEAD_LETTERS = 'persistent://public/default/stock-changes-stock-apply-DLQ';

/** A database whose version nobody can be told for a while. */
class FailingReader extends StampedReader<InMemorySnapshot> {
  override readonly isolation = 'snapshot';
  down = false;

  constructor(private readonly reader: InMemoryStampedReader) {
    super();
  }

  override read<T>(work: (manager: InMemorySnapshot) => Promise<T>): Promise<Stamped<T>> {
    return this.reader.read(work);
  }

  override current(): Promise<ChangeVersion> {
    return this.down ? Promise.reject(new Error('connection refused')) : this.reader.current();
  }
}

describe('outages of what a sync stands on', () => {
  let clock: VirtualClock;
  let harness: DataSyncHarness;
  let reader: FailingReader;
  let store: UnreliableCacheStore | undefined;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    clock = new VirtualClock();
    harness = new DataSyncHarness({ tables, clock });
    reader = new FailingReader(new InMemoryStampedReader(harness.source));
  });
  afterEach(async () => {
    await during(harness.close());
    expect(clock.pendingTimers).toBe(0);
  });

  async function during<T>(work: Promise<T>): Promise<T> {
    const progress = { settled: false };
    const settle = (): void => {
      progress.settled = true;
    };
    work.then(settle, settle);
    for (let step = 0; step < 10_000 && !progress.settled; step++) {
      await clock.advance(20);
    }
    return await work;
  }

  async function start(providers: readonly (new () => object)[] = []): Promise<HarnessReplica> {
    return await during(
      harness.start({
        app: 'stock',
        syncs: [stockSync],
        roles: ['publish', 'apply'],
        caches: [stockCache],
        consumer: { maxAttempts: 2 },
        providers: [...providers],
        cacheStore: (shared) => (store = new UnreliableCacheStore(shared, clock)),
        cdc: {
          source: harness.source,
          checkpoints: new InMemoryCheckpointStore(),
          leadership: new InProcessLeadership(),
          pollSignal: new InProcessPollSignal(),
          stampedReader: reader,
        },
      }),
    );
  }

  const commit = (id: number, level: number) => harness.source.commit((tx) => tx.upsert('dbo.stock', { id, level }));
  const load = (from: HarnessReplica, id: number) =>
    during(
      from
        .cache<number>('stock')
        .getOrLoad(`s${id}`, () =>
          from.reader.read<number | undefined, InMemorySnapshot>(async (snapshot) =>
            [...snapshot.rows('dbo.stock').values()]
              .map((row) => (row['id'] === id ? Number(row['level']) : -1))
              .find((level) => level >= 0),
          ),
        ),
    );
  const applied = (from: HarnessReplica) => from.dataSync.stats().syncs[0]?.apply;
  const deadLetters = (): number => harness.broker.stats(DEAD_LETTERS).messages;

  it.each(['cache', 'database'])(
    'spend no attempt: the %s is away for an hour, then every change is applied and none is dead-lettered',
    async (what) => {
      const replica = await start();
      [1, 2, 3].forEach((id) => commit(id, 5));
      await during(replica.service.quiet());
      for (const id of [1, 2, 3]) {
        expect((await load(replica, id)).value).toBe(5);
      }
      const away = (down: boolean): void => {
        reader.down = what === 'database' && down;
        if (store !== undefined) {
          store.weather = { kind: what === 'cache' && down ? 'failing' : 'fine' };
        }
      };
      away(true);
      [1, 2, 3].forEach((id) => commit(id, 8));
      await clock.advance(3_600_000);
      expect(applied(replica)).toMatchObject({ applied: 0, deadLettered: 0 });
      away(false);
      await during(replica.service.quiet());
      for (const id of [1, 2, 3]) {
        expect(await load(replica, id)).toMatchObject({ value: 8, stale: false });
      }
      expect(deadLetters()).toBe(0);
      expect(applied(replica)).toMatchObject({ applied: 3, deadLettered: 0 });
    },
  );

  it('keep a dead letter unacknowledged until its key is invalidated, and store it once', async () => {
    const replica = await start();
    commit(1, 5);
    await during(replica.service.quiet());
    expect((await load(replica, 1)).value).toBe(5);
    commit(2, 5);
    await during(replica.service.quiet());
    if (store !== undefined) {
      store.weather = { kind: 'failing' };
    }
    const version = harness.source.version.toString();
    const unreadable = changeEnvelope([{ pk: { id: 1 }, version, row: { id: 1, level: 7 } }], { key: 's1' });
    const text = new TextEncoder().encode('no envelope');
    const sent = { codec: bytesCodec, key: 's1', properties: envelopeProperties(unreadable) };
    await during(replica.publisher.publish('stock-changes', text, sent));
    await clock.advance(600_000);
    expect(deadLetters()).toBe(1);
    expect(harness.broker.stats('persistent://public/default/stock-changes').backlog('stock-apply')).toBe(1);
    if (store !== undefined) {
      store.weather = { kind: 'fine' };
    }
    await clock.until(
      () => harness.broker.stats('persistent://public/default/stock-changes').backlog('stock-apply') === 0,
    );
    expect(deadLetters()).toBe(1);
    expect(await replica.cache('stock').get('s1')).toBeUndefined();
  });

  it('spend no attempt of a handler whose own infrastructure is away', async () => {
    const seen: number[] = [];
    const state = { down: true };
    @Injectable()
    class Handler {
      @OnChange(stockChange, { subscription: 'handler' })
      async handle(): Promise<void> {
        await Promise.resolve();
        if (state.down) {
          throw new BacklogQuotaError('elsewhere', 'somebody');
        }
        seen.push(1);
      }
    }
    await start([Handler]);
    commit(1, 5);
    await clock.advance(3_600_000);
    state.down = false;
    await clock.until(() => seen.length > 0);
    expect(harness.broker.stats('persistent://public/default/stock-changes-stock-handler-DLQ').messages).toBe(0);
  });

  it('survive a storm of redeliveries: resyncs share their sweeps, and the cache ends right', async () => {
    const replica = await start();
    [1, 2, 3].forEach((id) => commit(id, 5));
    await during(replica.service.quiet());
    for (const id of [1, 2, 3]) {
      await load(replica, id);
    }
    const before = replica.cache('stock').stats().changesSent;
    if (store !== undefined) {
      store.weather = { kind: 'slow', delayMs: 50 };
    }
    const version = harness.source.version.toString();
    const copies = 200;
    const resync = resyncEnvelope('started', version);
    await during(
      replica.publisher.publishMany(
        'stock-changes',
        Array.from({ length: copies }, () => ({
          data: encodeEnvelope(resync),
          options: { codec: bytesCodec, properties: envelopeProperties(resync) },
        })),
      ),
    );
    commit(2, 9);
    await during(replica.service.quiet());
    expect(replica.cache('stock').stats().changesSent - before).toBeLessThan(copies / 4);
    if (store !== undefined) {
      store.weather = { kind: 'fine' };
    }
    expect([(await load(replica, 1)).value, (await load(replica, 2)).value]).toEqual([5, 9]);
    expect(deadLetters()).toBe(0);
  });
});
