import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  pendingSqlServerMigrations,
  runSqlServerMigrations,
  type SqlServerDataSourceOptions,
  sqlServerDataSource,
} from '@smartpulse/cdc/sql-server';
import { ConfigurationError } from '@smartpulse/resilience';
import { type DataSourceOptions } from 'typeorm';
import { type DatabaseAddress } from '../notification-service.parts.js';
import { KnownValueEntity } from './known-value.entity.js';
import { NotificationTables1764288000000 } from './migrations/notification-tables.migration.js';
import { NotificationEntity } from './notification.entity.js';

const entities = [NotificationEntity, KnownValueEntity];

/** TypeORM's options for one replica: the embedded database gets the entities' tables, SQL Server has them by migrations. */
export function notificationDataSource(
  database: EmbeddedDatabase | DatabaseAddress,
  name: string,
): DataSourceOptions & { readonly name: string } {
  return database instanceof EmbeddedDatabase
    ? database.typeOrmOptions({ name, entities, synchronize: true })
    : sqlServerDataSource({ name, url: database.url, entities });
}

/** Makes the tables that a SQL Server lacks. */
export async function migrateNotificationDatabase({ url }: DatabaseAddress): Promise<void> {
  await runSqlServerMigrations(migrationsOn(url));
}

/**
 * Looks whether somebody has migrated a SQL Server.
 *
 * @throws ConfigurationError that says which migrations it lacks, and how to run them.
 */
export async function checkNotificationDatabase({ url }: DatabaseAddress): Promise<void> {
  const pending = await pendingSqlServerMigrations(migrationsOn(url));
  if (pending.length > 0) {
    throw new ConfigurationError(
      'NotificationService',
      [{ option: 'DATABASE_URL', problem: `its database lacks the migrations ${pending.join(', ')}` }],
      'Start once with DATABASE_MIGRATE=1 and a login that may create tables.',
    );
  }
}

function migrationsOn(url: string): SqlServerDataSourceOptions {
  return {
    name: 'notification-service-migrations',
    url,
    entities: [],
    migrations: [NotificationTables1764288000000],
    migrationsTableName: 'notification_service_migrations',
  };
}
