export { ALLOWED_PERIODS, MAX_FORECASTS } from './domain/delivery.js';
export { PROVIDERS, type Provider, type Series, UNIT_TYPES, type UnitType } from './domain/series.js';
export { readBroker, readCache, readDatabase } from './environment.js';
export { type DayForecast, fromDayForecast } from './latest/day-forecast.js';
export { MAX_LATEST_DAYS } from './latest/latest-request.js';
export { type AppOptions, createProductionForecastApp } from './production-forecast.app.js';
export { BODY_LIMIT_BYTES } from './production-forecast.limits.js';
export { ProductionForecastModule } from './production-forecast.module.js';
export {
  ALL_ROLES,
  type BrokerAddress,
  type CacheAddress,
  type DatabaseAddress,
  type ProductionForecastParts,
  type ProductionForecastRole,
} from './production-forecast.parts.js';
export type { SaveResult } from './save/save-request.js';
export { ForecastOutboxEntity } from './storage/forecast-outbox.entity.js';
export { forecastDataSource } from './storage/forecast.data-source.js';
export { ForecastDatabase, type ForecastDatabaseOptions } from './storage/forecast.database.js';
export { ForecastEntity } from './storage/forecast.entity.js';
export { OutboxRetention } from './storage/outbox.retention.js';
export {
  dayKey,
  FORECAST_CACHE,
  FORECAST_TABLE,
  forecastOutbox,
  forecastSync,
  OUTBOX_TABLE,
} from './sync/forecast.sync.js';
