import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { runSqlServerMigrations, sqlServerDataSource } from '@smartpulse/cdc/sql-server';
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
  await runSqlServerMigrations({
    name: 'notification-service-migrations',
    url,
    entities: [],
    migrations: [NotificationTables1764288000000],
    migrationsTableName: 'notification_service_migrations',
  });
}
