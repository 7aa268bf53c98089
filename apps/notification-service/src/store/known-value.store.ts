import { Injectable } from '@nestjs/common';
import { type ForecastRow } from '@smartpulse/production-forecast-contract';
import { type EntityManager } from 'typeorm';
import { KnownValueEntity } from './known-value.entity.js';

/** SQL Server takes 2,100 parameters a statement, of which a row is six. */
const ROWS_PER_STATEMENT = 340;

/** A delivery's value with the stamp that told it. */
export interface StampedValue {
  readonly valueHundredths: number;
  readonly stamp: string;
}

/** A row of a change with its stamp. */
export interface StampedRow {
  readonly row: ForecastRow;
  readonly stamp: string;
}

/** The last values known, always within the caller's transaction. */
@Injectable()
export class KnownValueStore {
  #rowsSinceCount = Number.POSITIVE_INFINITY;
  #counted = 0;

  /** What is known of these rows' deliveries, by {@link deliveryKey}. */
  async load(manager: EntityManager, rows: readonly StampedRow[]): Promise<ReadonlyMap<string, StampedValue>> {
    const known = new Map<string, StampedValue>();
    for (const { first, starts } of bySeries(rows)) {
      for (let at = 0; at < starts.length; at += ROWS_PER_STATEMENT) {
        const found = await manager
          .createQueryBuilder(KnownValueEntity, 'known')
          .where('known.provider = :provider AND known.unitType = :unitType AND known.unitNo = :unitNo', {
            provider: first.provider,
            unitType: first.unitType,
            unitNo: first.unitNo,
          })
          .andWhere('known.deliveryStart IN (:...starts)', { starts: starts.slice(at, at + ROWS_PER_STATEMENT) })
          .getMany();
        for (const value of found) {
          known.set(deliveryKey(value), value);
        }
      }
    }
    return known;
  }

  /** Remembers values, the later of equal deliveries last. */
  async save(manager: EntityManager, rows: readonly StampedRow[]): Promise<void> {
    for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) {
      await manager
        .createQueryBuilder()
        .insert()
        .into(KnownValueEntity)
        .values(
          rows.slice(at, at + ROWS_PER_STATEMENT).map(({ row, stamp }) => ({
            provider: row.provider,
            unitType: row.unitType,
            unitNo: row.unitNo,
            deliveryStart: row.deliveryStart,
            valueHundredths: row.valueHundredths,
            stamp,
          })),
        )
        .orUpdate(['valueHundredths', 'stamp'], ['provider', 'unitType', 'unitNo', 'deliveryStart'])
        .updateEntity(false)
        .execute();
    }
    this.#rowsSinceCount += rows.length;
  }

  /**
   * Forgets the earliest deliveries above `max` rows. Counting reads the whole index, so it is done once in a hundredth of `max` rows: the
   * table may be that much larger.
   */
  async prune(manager: EntityManager, max: number): Promise<void> {
    if (this.#rowsSinceCount < max / 100 || this.#counted + this.#rowsSinceCount < max) {
      return;
    }
    this.#counted = await manager.count(KnownValueEntity);
    this.#rowsSinceCount = 0;
    if (this.#counted <= max) {
      return;
    }
    const oldestKept = await manager
      .createQueryBuilder(KnownValueEntity, 'known')
      .select('known.deliveryStart', 'deliveryStart')
      .orderBy('known.deliveryStart')
      .offset(this.#counted - max)
      .limit(1)
      .getRawOne<{ deliveryStart: string }>();
    if (oldestKept !== undefined) {
      await manager
        .createQueryBuilder()
        .delete()
        .from(KnownValueEntity)
        .where('deliveryStart < :start', { start: oldestKept.deliveryStart })
        .execute();
    }
  }
}

/** One text per delivery of a series. */
export function deliveryKey(row: Pick<ForecastRow, 'provider' | 'unitType' | 'unitNo' | 'deliveryStart'>): string {
  return `${row.provider}/${row.unitType}/${row.unitNo}/${row.deliveryStart}`;
}

/** An envelope's rows are of one series today, by the owner's key; nothing here depends on it. */
function bySeries(rows: readonly StampedRow[]): Iterable<{ readonly first: ForecastRow; readonly starts: string[] }> {
  const series = new Map<string, { first: ForecastRow; starts: string[] }>();
  for (const { row } of rows) {
    const key = `${row.provider}/${row.unitType}/${row.unitNo}`;
    const group = series.get(key);
    if (group === undefined) {
      series.set(key, { first: row, starts: [row.deliveryStart] });
    } else {
      group.starts.push(row.deliveryStart);
    }
  }
  return series.values();
}
