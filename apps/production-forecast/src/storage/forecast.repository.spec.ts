import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Delivery } from '../domain/delivery.js';
import { type Series } from '../domain/series.js';
import { ForecastEntity } from './forecast.entity.js';
import { ForecastRepository, MAX_ROWS_PER_STATEMENT } from './forecast.repository.js';

const series: Series = { provider: 'FinalForecast', unitType: 'PP', unitNo: 7 };
const START = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

function hours(count: number, hundredths = 1, fromHour = 0): Delivery[] {
  return Array.from({ length: count }, (_, index) => ({
    startMs: START + (fromHour + index) * HOUR_MS,
    endMs: START + (fromHour + index + 1) * HOUR_MS,
    hundredths,
  }));
}

describe('ForecastRepository', () => {
  const repository = new ForecastRepository();
  let database: EmbeddedDatabase;
  let dataSource: DataSource;

  beforeEach(async () => {
    database = EmbeddedDatabase.open({ name: 'repository-spec', clock: new VirtualClock() });
    dataSource = await new DataSource(
      database.typeOrmOptions({ name: 'repository-spec', entities: [ForecastEntity], synchronize: true }),
    ).initialize();
  });

  afterEach(async () => {
    await dataSource.destroy();
    await database.close();
  });

  it('writes at most 250 rows a statement and lets the event loop turn between statements', async () => {
    const runner = dataSource.createQueryRunner();
    const query = vi.spyOn(runner, 'query');
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns += 1;
      if (counting) {
        setImmediate(count);
      }
    };
    setImmediate(count);
    await repository.write(runner.manager, series, hours(2 * MAX_ROWS_PER_STATEMENT + 1), 'b');
    counting = false;
    await runner.release();

    expect(query.mock.calls.filter(([sql]) => sql.startsWith('INSERT'))).toHaveLength(3);
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(await dataSource.manager.count(ForecastEntity)).toBe(501);
  });

  it('replaces the row of a delivery that is there', async () => {
    await repository.write(dataSource.manager, series, hours(2, 1), 'first');
    await repository.write(dataSource.manager, series, hours(1, 9), 'second');
    const rows = await dataSource.manager.find(ForecastEntity, { order: { deliveryStart: 'ASC' } });
    expect(rows.map(({ valueHundredths, batchId }) => [valueHundredths, batchId])).toEqual([
      [9, 'second'],
      [1, 'first'],
    ]);
  });

  it('reads what touches a range over several weeks, in order, with the delivery that began before it', async () => {
    await repository.write(dataSource.manager, series, hours(24 * 30), 'b');
    await repository.write(dataSource.manager, { ...series, unitNo: 8 }, hours(3), 'b');
    const fromMs = START + HOUR_MS / 2;
    const toMs = START + 24 * 20 * HOUR_MS;
    const found = await repository.readTouching(dataSource.manager, series, fromMs, toMs);
    expect(found).toEqual(hours(24 * 20));
    expect(await repository.readTouching(dataSource.manager, series, START + HOUR_MS, START + 2 * HOUR_MS)).toEqual(
      hours(1, 1, 1),
    );
  });
});
