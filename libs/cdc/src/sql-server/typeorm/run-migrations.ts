import type { DataSource } from 'typeorm';
import { findMigrations, readMigrations } from '../statements/on-data-source.js';
import type { SqlServerDataSourceOptions } from './data-source-options.js';
import { openSqlServerDataSource } from './open-data-source.js';

/**
 * Runs the migrations that have not run yet, on connections of its own, before anything else uses the database. One process at a time: two at
 * once would both find the same ones missing.
 *
 * @returns the names of those that ran.
 * @throws ConfigurationError and SqlServerConnectionError, neither of which quotes the URL; `QueryFailedError` of TypeORM.
 * @example
 * ```ts
 * await runSqlServerMigrations({ name: 'forecasts', url, entities: [], migrations: [CreateTables1764288000000] });
 * ```
 */
export function runSqlServerMigrations(options: SqlServerDataSourceOptions): Promise<readonly string[]> {
  return onOwnConnection(options, async (dataSource) => {
    // A server lets no transaction alter its database; a migration that failed half-way finds what it has made and goes on.
    const ran = await dataSource.runMigrations({ transaction: 'none' });
    return ran.map(({ name }) => name);
  });
}

/**
 * The migrations that have not run yet, by name. It changes nothing and needs no right but SELECT on the table of migrations, so an app that
 * may not alter its database can tell at the start that somebody has to.
 *
 * @throws ConfigurationError and SqlServerConnectionError, neither of which quotes the URL; `QueryFailedError` of TypeORM.
 */
export function pendingSqlServerMigrations(options: SqlServerDataSourceOptions): Promise<readonly string[]> {
  return onOwnConnection(options, async (dataSource) => {
    const table = dataSource.driver.buildTableName(options.migrationsTableName ?? 'migrations');
    const find = findMigrations(table);
    const [found] = await dataSource.query<{ id: number | null }[]>(
      find.sql,
      find.parameters.map(({ value }) => value),
    );
    const ran =
      found === undefined || found.id === null
        ? []
        : await dataSource.query<{ name: string }[]>(readMigrations(dataSource.driver.escape(table)).sql);
    const names = new Set(ran.map(({ name }) => name));
    return dataSource.migrations
      .map((migration) => migration.name ?? migration.constructor.name)
      .filter((name) => !names.has(name));
  });
}

async function onOwnConnection<T>(
  options: SqlServerDataSourceOptions,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const dataSource = await openSqlServerDataSource({ ...options, poolSize: 1 });
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
