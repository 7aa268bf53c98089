import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EntityManager } from 'typeorm';
import { type Delivery, periodMinutes } from '../domain/delivery.js';
import { formatInstant, MINUTE_MS } from '../domain/instant.js';
import { type Series } from '../domain/series.js';
import { ForecastEntity } from './forecast.entity.js';
import { isSqlServer } from './sql-server.js';

/**
 * No statement writes more rows: each blocks the event loop while the embedded database runs it, and SQL Server takes 2,100 parameters, of
 * which a row is eight.
 */
export const MAX_ROWS_PER_STATEMENT = 250;

const READ_WINDOW_MS = 7 * 24 * 60 * MINUTE_MS;
const LONGEST_PERIOD_MS = 60 * MINUTE_MS;

interface DeliveryColumns {
  readonly deliveryStart: string;
  readonly deliveryEnd: string;
  readonly valueHundredths: number;
}

/** The table of latest forecasts, always within the caller's transaction or read. */
export class ForecastRepository {
  /**
   * Every stored delivery of the series that touches `[fromMs, toMs)`, in order, for a writer to decide by: nobody else may write there until
   * the transaction ends. Reads a week per statement and lets the event loop turn between statements.
   */
  async readTouching(
    manager: EntityManager,
    series: Series,
    fromMs: number,
    toMs: number,
  ): Promise<readonly Delivery[]> {
    const found: Delivery[] = [];
    // Begins early enough for the delivery that began before the range and ends inside it.
    for (let ms = fromMs - LONGEST_PERIOD_MS; ms < toMs; ms += READ_WINDOW_MS) {
      for (const delivery of await this.#read(manager, series, ms, Math.min(ms + READ_WINDOW_MS, toMs), true)) {
        if (delivery.endMs > fromMs) {
          found.push(delivery);
        }
      }
      await nextTurn();
    }
    return found;
  }

  /** The stored deliveries of the series that begin in `[fromMs, toMs)`, in order, by one statement. */
  readStarting(manager: EntityManager, series: Series, fromMs: number, toMs: number): Promise<readonly Delivery[]> {
    return this.#read(manager, series, fromMs, toMs, false);
  }

  async #read(
    manager: EntityManager,
    series: Series,
    fromMs: number,
    toMs: number,
    toWrite: boolean,
  ): Promise<readonly Delivery[]> {
    const query = manager
      .createQueryBuilder(ForecastEntity, 'forecast')
      .select('forecast.deliveryStart', 'deliveryStart')
      .addSelect('forecast.deliveryEnd', 'deliveryEnd')
      .addSelect('forecast.valueHundredths', 'valueHundredths')
      .where('forecast.provider = :provider AND forecast.unitType = :unitType AND forecast.unitNo = :unitNo', series)
      .andWhere('forecast.deliveryStart >= :from AND forecast.deliveryStart < :to', {
        from: formatInstant(fromMs),
        to: formatInstant(toMs),
      })
      .orderBy('forecast.deliveryStart');
    // Writers of one series wait for one another here; where both had read and then wrote, one would be a deadlock's victim. An embedded database
    // has one writer at a time, and knows no such lock.
    const rows = await (
      toWrite && isSqlServer(manager) ? query.setLock('pessimistic_write') : query
    ).getRawMany<DeliveryColumns>();
    return rows.map((row) => ({
      startMs: Date.parse(row.deliveryStart),
      endMs: Date.parse(row.deliveryEnd),
      hundredths: row.valueHundredths,
    }));
  }

  /** Inserts or replaces deliveries, at most {@link MAX_ROWS_PER_STATEMENT} a statement, letting the event loop turn between them. */
  async write(manager: EntityManager, series: Series, deliveries: readonly Delivery[], batchId: string): Promise<void> {
    for (let at = 0; at < deliveries.length; at += MAX_ROWS_PER_STATEMENT) {
      const rows = deliveries.slice(at, at + MAX_ROWS_PER_STATEMENT).map((delivery) => ({
        provider: series.provider,
        unitType: series.unitType,
        unitNo: series.unitNo,
        deliveryStart: formatInstant(delivery.startMs),
        deliveryEnd: formatInstant(delivery.endMs),
        periodMinutes: periodMinutes(delivery),
        valueHundredths: delivery.hundredths,
        batchId,
      }));
      await manager
        .createQueryBuilder()
        .insert()
        .into(ForecastEntity)
        .values(rows)
        .orUpdate(
          ['deliveryEnd', 'periodMinutes', 'valueHundredths', 'batchId'],
          ['provider', 'unitType', 'unitNo', 'deliveryStart'],
        )
        .updateEntity(false)
        .execute();
      await nextTurn();
    }
  }
}
