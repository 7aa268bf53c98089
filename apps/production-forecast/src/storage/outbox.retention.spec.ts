import { type Checkpoint, type CheckpointKey, type CheckpointPhase } from '@smartpulse/cdc';
import { EmbeddedChangeSource, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type ShutdownTask } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProductionForecastApp } from '../production-forecast.app.js';
import { ForecastSaver } from '../save/forecast.saver.js';
import { APP_NAME, OUTBOX_TABLE } from '../sync/forecast.sync.js';
import { ForecastOutboxEntity } from './forecast-outbox.entity.js';
import { OUTBOX_RETENTION_MS, OUTBOX_SWEEP_INTERVAL_MS, OutboxRetention } from './outbox.retention.js';

/** Knows one checkpoint: how far the outbox is relayed. */
class RelayPosition {
  phase: CheckpointPhase | undefined;
  epoch = 0n;

  load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    expect(key).toMatchObject({ consumer: APP_NAME, table: OUTBOX_TABLE });
    return Promise.resolve(
      this.phase === undefined
        ? undefined
        : {
            ...key,
            epoch: this.epoch,
            phase: this.phase,
            objectId: '1',
            beginVersion: 0n,
            schemaHash: '',
            sinkInstance: 'broker',
            upToDateAtMs: null,
          },
    );
  }
}

describe('OutboxRetention', () => {
  let clock: VirtualClock;
  let database: EmbeddedDatabase;
  let dataSource: DataSource;
  let position: RelayPosition;
  let retention: OutboxRetention;
  const tasks: ShutdownTask[] = [];

  const write = async (rows: number): Promise<void> => {
    const createdAt = new Date(clock.now()).toISOString();
    await dataSource.manager.insert(
      ForecastOutboxEntity,
      Array.from({ length: rows }, () => ({ event: 'forecast-computed', key: null, payload: '{}', createdAt })),
    );
  };
  const ids = async (): Promise<readonly number[]> =>
    (await dataSource.manager.find(ForecastOutboxEntity, { order: { id: 'ASC' } })).map(({ id }) => id);
  /** The tracker has handed off everything that is committed now. */
  const relayAll = (): void => {
    const { epoch, version } = database.currentVersion();
    position.epoch = epoch;
    position.phase = { kind: 'streaming', version, cursor: null };
  };

  beforeEach(async () => {
    clock = new VirtualClock();
    database = EmbeddedDatabase.open({ name: 'retention-spec', clock });
    dataSource = await new DataSource(
      database.typeOrmOptions({ name: 'retention-spec', entities: [ForecastOutboxEntity], synchronize: true }),
    ).initialize();
    await database.enableTracking([OUTBOX_TABLE]);
    position = new RelayPosition();
    tasks.length = 0;
    retention = new OutboxRetention(dataSource, new EmbeddedChangeSource(database), position, clock, {
      register: (task) => {
        tasks.push(task);
        return () => undefined;
      },
    });
  });

  afterEach(async () => {
    for (const task of tasks) {
      await task.stop({ signal: new AbortController().signal, timeoutMs: 1_000 });
    }
    await dataSource.destroy();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('deletes what is old and relayed, however much it is, and nothing younger', async () => {
    await write(400);
    await write(400);
    await clock.advance(OUTBOX_RETENTION_MS + 1);
    await write(2);
    relayAll();
    await retention.sweep();
    expect(await retention.sweep()).toBe(800);
    expect(await ids()).toEqual([801, 802]);
  });

  it('keeps an old event that was not relayed, until it is', async () => {
    await write(1);
    relayAll();
    await write(1);
    await clock.advance(OUTBOX_RETENTION_MS + 1);
    await retention.sweep();
    expect(await retention.sweep()).toBe(0);
    expect(await ids()).toEqual([1, 2]);

    relayAll();
    expect(await retention.sweep()).toBe(2);
  });

  it.each([
    ['while the tracker reads the outbox anew', { kind: 'bootstrap', reason: 'newSinkInstance', afterKey: null }],
    ['of another epoch', { kind: 'streaming', cursor: null }],
  ] as const)('deletes nothing by a position %s', async (_title, phase) => {
    await write(1);
    await clock.advance(OUTBOX_RETENTION_MS + 1);
    relayAll();
    const { epoch, version } = database.currentVersion();
    if (phase.kind === 'bootstrap') {
      position.phase = { ...phase, fromVersion: version };
    } else {
      position.epoch = epoch - 1n;
    }
    await retention.sweep();
    expect(await retention.sweep()).toBe(0);
  });

  it('keeps what came after the last look, though a leaping clock calls it old', async () => {
    await write(1);
    await retention.sweep();
    await write(1);
    await clock.advance(OUTBOX_RETENTION_MS + 1);
    relayAll();
    expect(await retention.sweep()).toBe(1);
    expect(await ids()).toEqual([2]);
  });

  it('looks again and again until the app stops, also after a failure', async () => {
    await write(1);
    relayAll();
    retention.onApplicationBootstrap();
    const release = await dataSource.destroy().then(() => () => dataSource.initialize());
    await clock.advance(OUTBOX_SWEEP_INTERVAL_MS);
    await release();
    await clock.advance(OUTBOX_RETENTION_MS);
    await clock.until(async () => (await ids()).length === 0, 3 * OUTBOX_SWEEP_INTERVAL_MS);
  });
});

describe('OutboxRetention in the running app', () => {
  it('deletes an event a day after it was published', async () => {
    const clock = new VirtualClock();
    const database = EmbeddedDatabase.open({ name: 'retention-app', clock });
    const broker = new InProcessBroker({ clock });
    const cacheServer = new EmbeddedCacheServer({ clock });
    const app = await createProductionForecastApp(
      { database, broker, cacheServer, clock, tracker: { maxIntervalMs: 3_600_000 } },
      { signals: false, logger: false },
    );
    await app.init();
    const events = app.get(DataSource).getRepository(ForecastOutboxEntity);
    await app.get(ForecastSaver).save({
      batchId: 'b',
      series: { provider: 'FinalForecast', unitType: 'PP', unitNo: 7 },
      deliveries: [{ startMs: clock.now(), endMs: clock.now() + 3_600_000, hundredths: 1 }],
      ifMatch: undefined,
    });
    await clock.advance(OUTBOX_RETENTION_MS - OUTBOX_SWEEP_INTERVAL_MS);
    expect(await events.count()).toBe(1);
    await clock.until(async () => (await events.count()) === 0, 3 * OUTBOX_SWEEP_INTERVAL_MS);

    await app.close();
    cacheServer.close();
    await broker.close();
    await database.close();
  }, 30_000);
});
