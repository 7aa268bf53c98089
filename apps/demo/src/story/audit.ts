import { type ChangeCursor, type ChangePage, type ChangeSource } from '@smartpulse/cdc';
import { FORECAST_TABLE, ForecastEntity, ForecastOutboxEntity } from '@smartpulse/production-forecast';
import { type DataSource } from 'typeorm';
import { type FeedPlan, rangeOf } from '../feed/feed-plan.js';
import { type SeriesPath } from '../feed/forecast.client.js';
import { type Replica } from './replica.js';
import { rowName } from './row-name.js';
import { type Witness } from './witness.js';

const PAGE_ROWS = 5_000;

/** What the audit found missing; all zero is the promise. */
export interface Losses {
  /** Rows whose last change in the tracking table is above the highest version that was delivered for them. */
  readonly rows: number;
  /** Events in the outbox that never arrived. */
  readonly events: number;
  /** Values that a replica shows differently from the database, or does not show. */
  readonly values: number;
}

interface SeriesRange {
  readonly path: SeriesPath;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Compares what was delivered and what replicas show with the database itself. */
export class Audit {
  /**
   * @param source reads the tracking table, with no part of the pipeline between.
   * @param dataSource direct SQL.
   */
  constructor(
    private readonly source: ChangeSource,
    private readonly dataSource: DataSource,
    private readonly plan: FeedPlan,
  ) {}

  /** Reads every key of every series on a replica, as its users do; answers how many values differ from direct SQL. */
  async compare(replica: Replica): Promise<number> {
    const stored = await this.#storedValues();
    let different = 0;
    for (const { path, fromMs, toMs } of this.#series()) {
      const expected = stored.get(seriesName(path)) ?? new Map<number, number>();
      const shown = await replica.client.latest(path, fromMs, toMs);
      const right = shown.filter(({ startMs, value }) => expected.get(startMs) === value).length;
      different += Math.max(expected.size, shown.length) - right;
    }
    return different;
  }

  /** What is missing, on the topics and on the replicas. */
  async losses(witness: Witness, replicas: readonly Replica[]): Promise<Losses> {
    let values = 0;
    for (const replica of replicas) {
      values += await this.compare(replica);
    }
    return { rows: await this.#undeliveredRows(witness), events: await this.#missingEvents(witness), values };
  }

  /** Whether, for every region and interval, the stored shares of its units add up to the series that they were split from. */
  async sumsAreExact(): Promise<boolean> {
    const stored = await this.#storedValues();
    const measured = new Set(this.plan.measurements.flatMap(({ values }) => values.map(({ startMs }) => startMs)));
    return this.plan.regions.every(({ region, units }) => {
      const sum = (provider: SeriesPath['provider'], startMs: number): number =>
        units.reduce(
          (total, { unitNo }) => total + (stored.get(seriesName({ provider, unitNo }))?.get(startMs) ?? 0),
          0,
        );
      return region.intervals.every(
        ({ startMs, forecast, actual }) =>
          sum('FinalForecast', startMs) === forecast && (!measured.has(startMs) || sum('Measured', startMs) === actual),
      );
    });
  }

  async #undeliveredRows(witness: Witness): Promise<number> {
    const { signal } = new AbortController();
    let missing = 0;
    let cursor: ChangeCursor | null = null;
    do {
      const page: ChangePage = await this.source.readPage({
        table: FORECAST_TABLE,
        after: 0n,
        cursor,
        limit: PAGE_ROWS,
        signal,
      });
      missing += page.changes.filter(
        ({ primaryKey, version }) => !witness.saw(rowName(primaryKey), version.version),
      ).length;
      cursor = page.cursors.at(-1) ?? null;
    } while (cursor !== null);
    return missing;
  }

  async #missingEvents(witness: Witness): Promise<number> {
    const events = await this.dataSource.getRepository(ForecastOutboxEntity).find({ select: { id: true } });
    return events.filter(({ id }) => !witness.sawEvent(String(id))).length;
  }

  async #storedValues(): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    const rows = await this.dataSource.getRepository(ForecastEntity).find();
    const bySeries = new Map<string, Map<number, number>>();
    for (const { provider, unitNo, deliveryStart, valueHundredths } of rows) {
      const name = `${provider}/${unitNo}`;
      const values = bySeries.get(name) ?? new Map<number, number>();
      values.set(Date.parse(deliveryStart), valueHundredths);
      bySeries.set(name, values);
    }
    return bySeries;
  }

  #series(): readonly SeriesRange[] {
    return this.plan.regions.flatMap(({ region, units }) =>
      units.flatMap(({ unitNo }) =>
        (['FinalForecast', 'Measured'] as const).map((provider) => ({
          path: { provider, unitNo },
          ...rangeOf(region),
        })),
      ),
    );
  }
}

function seriesName({ provider, unitNo }: SeriesPath): string {
  return `${provider}/${unitNo}`;
}
