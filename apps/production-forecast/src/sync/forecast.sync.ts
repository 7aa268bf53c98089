import { defineOutbox, defineSync, type OutboxDefinition, type SyncDefinition, utcDay } from '@smartpulse/data-sync';
import {
  forecastChange,
  forecastComputed,
  type ForecastContracts,
  type ForecastKey,
  type ForecastRow,
} from '@smartpulse/production-forecast-contract';

/** The app's stable name: consumer of its tables, owner of its subscriptions, prefix of its keys. */
export const APP_NAME = 'production-forecast';

/** What begins the names of an installation in a store that others use too. */
export function ownName(installation: string | undefined): string {
  return installation === undefined ? APP_NAME : `${installation}-${APP_NAME}`;
}

/** The cache namespace of the days. */
export const FORECAST_CACHE = 'forecast';

/** The tracked table of latest forecasts. */
export const FORECAST_TABLE = 'dbo.forecast';

/** The tracked table of events on their way out. */
export const OUTBOX_TABLE = 'dbo.forecast_outbox';

/** The cache key of a series' day. */
export function dayKey(series: Pick<ForecastKey, 'provider' | 'unitType' | 'unitNo'>, day: string): string {
  return `${series.provider}/${series.unitType}/${series.unitNo}/${day}`;
}

/**
 * The cache follows the table by UTC days of a series: a change of any of its rows invalidates the day, and the next reader loads the whole
 * day with its stamp. A day is what readers ask for, and its 24 to 288 rows are one range of the primary key.
 *
 * @param change on the topic of the installation.
 */
export function defineForecastSync(change: ForecastContracts['change']): SyncDefinition<ForecastRow, ForecastKey> {
  return defineSync(change, {
    table: FORECAST_TABLE,
    cache: FORECAST_CACHE,
    shape: 'aggregate',
    key: (pk) => dayKey(pk, utcDay(pk.deliveryStart)),
  });
}

/**
 * Events that are no rows of their own travel through a table, in the transaction of the rows that they tell of.
 *
 * @param computed on the topic of the installation.
 */
export function defineForecastOutbox(computed: ForecastContracts['computed']): OutboxDefinition {
  return defineOutbox({ table: OUTBOX_TABLE, events: [computed] });
}

/** The sync as writers name it: its contract's name tells it, whatever the topic. */
export const forecastSync = defineForecastSync(forecastChange);

/** The outbox as writers name it: rows carry the event's name, whatever the topic. */
export const forecastOutbox = defineForecastOutbox(forecastComputed);
