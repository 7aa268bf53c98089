import { BatchRegistry } from '@smartpulse/batch';
import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type DataSync } from '@smartpulse/data-sync';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Delivery } from '../domain/delivery.js';
import { ForecastOutboxEntity } from '../storage/forecast-outbox.entity.js';
import { ForecastEntity } from '../storage/forecast.entity.js';
import { ForecastSaver } from './forecast.saver.js';
import { ForecastWriter, type Written } from './forecast.writer.js';
import { type SaveRequest } from './save-request.js';

const QUARTER_MS = 900_000;
const START = Date.UTC(2026, 0, 31, 23, 30);

/** Quarters from half an hour before midnight (UTC) on. */
function request(unitNo: number, ...hundredths: readonly number[]): SaveRequest {
  const deliveries: Delivery[] = hundredths.map((value, index) => ({
    startMs: START + index * QUARTER_MS,
    endMs: START + (index + 1) * QUARTER_MS,
    hundredths: value,
  }));
  return {
    batchId: `batch-${unitNo}`,
    series: { provider: 'FinalForecast', unitType: 'PP', unitNo },
    deliveries,
    ifMatch: undefined,
  };
}

/** Fails for one unit after its rows and its event were written. */
class LateFailingWriter extends ForecastWriter {
  failingUnit = 0;
  deadlocks = 0;

  override async write(manager: EntityManager, one: SaveRequest): Promise<Written> {
    const written = await super.write(manager, one);
    if (this.deadlocks > 0) {
      this.deadlocks -= 1;
      throw Object.assign(new Error('You are the victim.'), { number: 1205, class: 13 });
    }
    if (one.series.unitNo === this.failingUnit) {
      throw new Error('The disk is full.');
    }
    return written;
  }
}

class RecordingSync implements Pick<DataSync, 'committed'> {
  readonly told: (readonly object[])[] = [];
  rowsWhenTold = -1;
  failure: Error | undefined;

  constructor(private readonly rows: () => Promise<number>) {}

  async committed(_sync: unknown, pks: readonly object[]): Promise<void> {
    this.told.push(pks);
    this.rowsWhenTold = await this.rows();
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

describe('ForecastSaver', () => {
  const clock = new VirtualClock();
  let database: EmbeddedDatabase;
  let dataSource: DataSource;
  let writer: LateFailingWriter;
  let sync: RecordingSync;
  let saver: ForecastSaver;

  beforeEach(async () => {
    database = EmbeddedDatabase.open({ name: 'saver-spec', clock });
    dataSource = await new DataSource(
      database.typeOrmOptions({
        name: 'saver-spec',
        entities: [ForecastEntity, ForecastOutboxEntity],
        synchronize: true,
      }),
    ).initialize();
    writer = new LateFailingWriter(clock);
    sync = new RecordingSync(() => dataSource.manager.count(ForecastEntity));
    const batches = new BatchRegistry({ clock, random: new SeededRandom() }, { register: () => () => undefined });
    saver = new ForecastSaver(batches, dataSource, writer, sync);
  });

  afterEach(async () => {
    await dataSource.destroy();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('takes back everything that a request wrote before it failed, and nothing of its neighbours in the batch', async () => {
    writer.failingUnit = 2;
    const answers = await Promise.allSettled([1, 2, 3, 4].map((unitNo) => saver.save(request(unitNo, 100, 200))));

    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    const rows = await dataSource.manager.find(ForecastEntity, { order: { unitNo: 'ASC' } });
    expect(rows.map(({ unitNo }) => unitNo)).toEqual([1, 1, 3, 3, 4, 4]);
    const events = await dataSource.manager.find(ForecastOutboxEntity, { order: { id: 'ASC' } });
    expect(events.map(({ key }) => key)).toEqual(['FinalForecast/PP/1', 'FinalForecast/PP/3', 'FinalForecast/PP/4']);
  });

  it('begins the whole batch again when the server gave its transaction up for another one', async () => {
    writer.deadlocks = 2;
    const answers = await Promise.all([1, 2].map((unitNo) => saver.save(request(unitNo, 100))));
    expect(answers.map(({ saved }) => saved)).toEqual([1, 1]);
    expect(await dataSource.manager.count(ForecastEntity)).toBe(2);
    expect(await dataSource.manager.count(ForecastOutboxEntity)).toBe(2);

    writer.deadlocks = 4;
    await expect(saver.save(request(3, 100))).rejects.toMatchObject({ number: 1205 });
    expect(await dataSource.manager.count(ForecastEntity)).toBe(2);
  });

  it('writes the event in the transaction of the rows, and none when nothing changed', async () => {
    await saver.save(request(1, 100, 200));
    await saver.save(request(1, 100, 200));
    const events = await dataSource.manager.find(ForecastOutboxEntity);
    expect(events).toHaveLength(1);
    expect(JSON.parse(events[0]?.payload ?? '')).toMatchObject({
      batchId: 'batch-1',
      from: '2026-01-31T23:30:00.000Z',
      to: '2026-02-01T00:00:00.000Z',
      saved: 2,
      skipped: 0,
      missingMinutes: 0,
    });
  });

  it('tells readers after the commit, one row for each day that changed', async () => {
    await saver.save(request(1, 1, 2, 3, 4));
    await saver.save(request(1, 1, 2, 3, 5));
    await saver.save(request(1, 1, 2, 3, 5));
    expect(sync.told.map((pks) => pks.length)).toEqual([2, 1]);
    expect(sync.rowsWhenTold).toBe(4);
  });

  it('answers a save that is committed even when readers cannot be told at once', async () => {
    sync.failure = new Error('The cache is away.');
    await expect(saver.save(request(1, 100))).resolves.toMatchObject({ saved: 1 });
  });
});
