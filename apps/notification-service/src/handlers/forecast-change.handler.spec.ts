import { type KeyChanges } from '@smartpulse/data-sync';
import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type ForecastKey, type ForecastRow } from '@smartpulse/production-forecast-contract';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RULE_DEFAULTS } from '../rules/rule.options.js';
import { KnownValueEntity } from '../store/known-value.entity.js';
import { KnownValueStore } from '../store/known-value.store.js';
import { NotificationEntity } from '../store/notification.entity.js';
import { NotificationStore } from '../store/notification.store.js';
import { ForecastChangeHandler } from './forecast-change.handler.js';

/** [quarter of the day, megawatts, version] */
type Told = readonly [quarter: number, megawatts: number, version: bigint];

const startOf = (quarter: number): string => new Date(Date.UTC(2026, 0, 31) + quarter * 900_000).toISOString();

function changes(told: readonly Told[], provider = 'FinalForecast'): KeyChanges<ForecastRow, ForecastKey> {
  const rows = told.map(([quarter, megawatts, version]) => {
    const pk = { provider, unitType: 'PP', unitNo: 7, deliveryStart: startOf(quarter) };
    const row = {
      ...pk,
      deliveryEnd: startOf(quarter + 1),
      periodMinutes: 15,
      valueHundredths: megawatts * 100,
      batchId: 'b',
    };
    return { pk, op: 'upsert' as const, version: { epoch: 1n, version }, columns: null, row };
  });
  return {
    key: `${provider}/PP/7/2026-01-31`,
    source: 'forecasts',
    table: 'dbo.forecast',
    stamp: { epoch: 1n, version: 0n },
    changes: rows,
    keysOnly: false,
    origin: null,
    traceparent: null,
    committedAt: null,
    context: {
      messageId: 'm',
      topic: 'forecast-changes',
      key: undefined,
      properties: {},
      attempt: 1,
      redeliveryCount: 0,
      publishTimeMs: 0,
      eventTimeMs: undefined,
      signal: new AbortController().signal,
      ack: () => {},
      nack: () => {},
      deadLetter: () => {},
    },
  };
}

describe('ForecastChangeHandler', () => {
  const clock = new VirtualClock();
  let database: EmbeddedDatabase;
  let dataSource: DataSource;
  let handler: ForecastChangeHandler;
  let handed: string[];

  beforeEach(async () => {
    database = EmbeddedDatabase.open({ name: 'handler-spec', clock });
    dataSource = await new DataSource(
      database.typeOrmOptions({
        name: 'handler-spec',
        entities: [NotificationEntity, KnownValueEntity],
        synchronize: true,
      }),
    ).initialize();
    handed = [];
    const delivery = {
      hand: ({ key }: { readonly key: string }): Promise<void> => {
        handed.push(key);
        return Promise.resolve();
      },
    };
    handler = new ForecastChangeHandler(
      dataSource,
      new KnownValueStore(),
      new NotificationStore(dataSource, clock),
      delivery,
      RULE_DEFAULTS,
    );
  });

  afterEach(async () => {
    await dataSource.destroy();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  const handle = (...told: readonly Told[]): Promise<void> => handler.handle(changes(told));
  const descriptions = async (): Promise<readonly string[]> =>
    (await dataSource.manager.find(NotificationEntity, { order: { id: 'ASC' } })).map(({ description }) => description);

  it('says nothing of a value that it sees for the first time, and tells the next one beyond the threshold', async () => {
    await handle([0, 10, 5n]);
    expect(handed).toEqual([]);
    await handle([0, 20, 6n]);
    expect(handed).toEqual(['FinalForecast/PP/7/2026-01-31T00:00:00.000Z']);
    expect(await descriptions()).toEqual([expect.stringContaining('10.00 to 20.00 MW')]);
  });

  it('takes a change for what it is when an older one comes late or the same comes again', async () => {
    await handle([0, 10, 5n]);
    await handle([0, 20, 6n]);
    await handle([0, 10, 5n]);
    await handle([0, 20, 6n]);
    await handle([0, 40, 4n]);
    expect(handed).toHaveLength(1);
    await handle([0, 21, 7n]);
    expect(handed).toHaveLength(1);
    expect(await dataSource.manager.find(KnownValueEntity)).toMatchObject([{ valueHundredths: 2_100 }]);
  });

  it('tells both halves of a version that was cut over two messages', async () => {
    await handle([0, 10, 5n], [1, 10, 5n]);
    await handle([0, 20, 6n]);
    await handle([1, 20, 6n]);
    expect(handed).toEqual([
      'FinalForecast/PP/7/2026-01-31T00:00:00.000Z',
      'FinalForecast/PP/7/2026-01-31T00:15:00.000Z',
    ]);
  });

  it('adds up slow drift only from value to value, as corrections are', async () => {
    for (let version = 1n; version <= 10n; version++) {
      await handle([0, 10 + Number(version) * 4, version]);
    }
    expect(handed).toEqual([]);
  });

  it('leaves measurements alone', async () => {
    await handler.handle(changes([[0, 10, 5n]], 'Measured'));
    await handler.handle(changes([[0, 90, 6n]], 'Measured'));
    expect(handed).toEqual([]);
    expect(await dataSource.manager.count(KnownValueEntity)).toBe(0);
  });
});

describe('KnownValueStore', () => {
  it('forgets the earliest deliveries above its bound', async () => {
    const database = EmbeddedDatabase.open({ name: 'known-spec', clock: new VirtualClock() });
    const dataSource = await new DataSource(
      database.typeOrmOptions({ name: 'known-spec', entities: [KnownValueEntity], synchronize: true }),
    ).initialize();
    const store = new KnownValueStore();
    for (const first of [500, 0, 1_000]) {
      const told = Array.from({ length: 500 }, (_, index) => [first + index, 1, 1n] as const);
      const rows = changes(told).changes.flatMap(({ row }) => (row === null ? [] : [{ row, stamp: '1' }]));
      await dataSource.transaction(async (manager) => {
        await store.save(manager, rows);
        await store.prune(manager, 1_000);
      });
    }
    const left = await dataSource.manager.find(KnownValueEntity, { order: { deliveryStart: 'ASC' } });
    expect(left).toHaveLength(1_000);
    expect(left[0]?.deliveryStart).toBe(startOf(500));
    await dataSource.destroy();
    await database.close();
  });
});
