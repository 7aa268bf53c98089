import type { SqlServerDataSourceOptions } from './data-source-options.js';
import { sqlServerDataSource } from './data-source-options.js';

/**
 * Runs the migrations that have not run yet, on connections of its own, before anything else uses the database. One process at a time: two at
 * once would both find the same ones missing.
 *
 * @returns the names of those that ran.
 * @throws ConfigurationError that never quotes the URL, `QueryFailedError` of TypeORM.
 * @example
 * ```ts
 * await runSqlServerMigrations({ name: 'forecasts', url, entities: [], migrations: [CreateTables1764288000000] });
 * ```
 */
export async function runSqlServerMigrations(options: SqlServerDataSourceOptions): Promise<readonly string[]> {
  const { DataSource } = await import('typeorm');
  const dataSource = await new DataSource(sqlServerDataSource({ ...options, poolSize: 1 })).initialize();
  try {
    // A server lets no transaction alter its database; a migration that failed half-way finds what it has made and goes on.
    const ran = await dataSource.runMigrations({ transaction: 'none' });
    return ran.map(({ name }) => name);
  } finally {
    await dataSource.destroy();
  }
}
