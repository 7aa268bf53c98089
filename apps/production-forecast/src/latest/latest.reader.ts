import { Inject, Injectable } from '@nestjs/common';
import { SyncReader } from '@smartpulse/data-sync';
import { InjectCache, type VersionedCache } from '@smartpulse/redis-cache';
import { type EntityManager } from 'typeorm';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { type Delivery } from '../domain/delivery.js';
import { utcDayRange, utcDaysOf } from '../domain/instant.js';
import { aggregate } from '../domain/resolution.js';
import { type Series } from '../domain/series.js';
import { ForecastRepository } from '../storage/forecast.repository.js';
import { dayKey, FORECAST_CACHE } from '../sync/forecast.sync.js';
import { type DayForecast, fromDayForecast, toDayForecast } from './day-forecast.js';
import { type LatestQuery, type Representation, represent } from './representation.js';

/** Reads latest forecasts day by day from the versioned cache, and what it lacks from the database together with its stamp. */
@Injectable()
export class LatestReader {
  readonly #rows = new ForecastRepository();

  constructor(
    @InjectCache(FORECAST_CACHE) private readonly days: VersionedCache<DayForecast>,
    @Inject(SyncReader) private readonly source: SyncReader,
  ) {}

  /** @throws RequestRefusedError (400) when the resolution is no multiple of a stored period. */
  async read(query: LatestQuery): Promise<Representation> {
    const days = await Promise.all(utcDaysOf(query.fromMs, query.toMs).map((day) => this.#readDay(query.series, day)));
    const deliveries = days.flat().filter(({ startMs }) => startMs >= query.fromMs && startMs < query.toMs);
    if (query.resolutionMinutes === undefined) {
      return represent(query, deliveries);
    }
    const aggregated = aggregate(deliveries, query.resolutionMinutes);
    if ('storedMinutes' in aggregated) {
      throw new RequestRefusedError(400, 'invalid-request', 'The series cannot be shown at this resolution.', [
        {
          pointer: 'resolution',
          code: 'ResolutionTooFine',
          detail: `expected a multiple of ${aggregated.storedMinutes} minutes, the period that is stored`,
        },
      ]);
    }
    return represent(query, aggregated);
  }

  async #readDay(series: Series, day: string): Promise<readonly Delivery[]> {
    const { fromMs, toMs } = utcDayRange(day);
    const hit = await this.days.getOrLoad(dayKey(series, day), async () => {
      const { value, version } = await this.source.read((manager: EntityManager) =>
        this.#rows.readStarting(manager, series, fromMs, toMs),
      );
      return { value: value.length === 0 ? undefined : toDayForecast(value), version };
    });
    return fromDayForecast(hit.value);
  }
}
