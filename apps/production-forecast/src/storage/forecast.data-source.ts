import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  pendingSqlServerMigrations,
  runSqlServerMigrations,
  sqlServerCdc,
  type SqlServerDataSourceOptions,
  sqlServerDataSource,
} from '@smartpulse/cdc/sql-server';
import { ConfigurationError } from '@smartpulse/resilience';
import { type DataSourceOptions } from 'typeorm';
import { type DatabaseAddress } from '../production-forecast.parts.js';
import { APP_NAME, FORECAST_TABLE, OUTBOX_TABLE } from '../sync/forecast.sync.js';
import { ForecastOutboxEntity } from './forecast-outbox.entity.js';
import { ForecastEntity } from './forecast.entity.js';
import { ForecastTables1764288000000 } from './migrations/forecast-tables.migration.js';
import { ForecastTracking1764288060000 } from './migrations/forecast-tracking.migration.js';

const entities = [ForecastEntity, ForecastOutboxEntity];

/** TypeORM's options for one replica: the embedded database gets the entities' tables, SQL Server has them by migrations. */
export function forecastDataSource(
  database: EmbeddedDatabase | DatabaseAddress,
  name: string,
): DataSourceOptions & { readonly name: string } {
  return database instanceof EmbeddedDatabase
    ? database.typeOrmOptions({ name, entities, synchronize: true })
    : sqlServerDataSource({ name, url: database.url, entities });
}

/** Makes what a SQL Server lacks: tables, their tracking, and what positions and leases are kept in. */
export async function migrateForecastDatabase({ url }: DatabaseAddress): Promise<void> {
  await runSqlServerMigrations(migrationsOn(url));
  const { source } = sqlServerCdc({ name: APP_NAME, url, createBookkeeping: true });
  try {
    await source.state([FORECAST_TABLE, OUTBOX_TABLE]);
  } finally {
    await source.close();
  }
}

/**
 * Looks whether somebody has migrated a SQL Server.
 *
 * @throws ConfigurationError that says which migrations it lacks, and how to run them.
 */
export async function checkForecastDatabase({ url }: DatabaseAddress): Promise<void> {
  const pending = await pendingSqlServerMigrations(migrationsOn(url));
  if (pending.length > 0) {
    throw new ConfigurationError(
      'ProductionForecast',
      [{ option: 'DATABASE_URL', problem: `its database lacks the migrations ${pending.join(', ')}` }],
      'Start once with DATABASE_MIGRATE=1 and a login that may create tables and alter the database.',
    );
  }
}

function migrationsOn(url: string): SqlServerDataSourceOptions {
  return {
    name: 'production-forecast-migrations',
    url,
    entities: [],
    migrations: [ForecastTables1764288000000, ForecastTracking1764288060000],
    migrationsTableName: 'production_forecast_migrations',
  };
}
