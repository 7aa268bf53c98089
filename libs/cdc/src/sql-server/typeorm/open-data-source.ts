import type { DataSource } from 'typeorm';
import { explainConnection } from '../errors/connection-problem.js';
import { addressOf, targetOf } from '../pool/connection-target.js';
import { LoginWatch, type WatchedConnection } from '../pool/login-watch.js';
import { beforeConnect, type SqlServerDataSourceOptions, sqlServerDataSource } from './data-source-options.js';

/**
 * A data source of {@link sqlServerDataSource} that is connected; whoever asks destroys it.
 *
 * @throws ConfigurationError and SqlServerConnectionError, neither of which quotes the URL: where TypeORM alone throws the driver's error, which
 * knows no reason of a failed login, this one says who does not answer, or refuses what, and how to mend it.
 * @example
 * ```ts
 * const dataSource = await openSqlServerDataSource({ name: 'import', url: 'mssql://app:secret@sql.internal/forecasts', entities: [Forecast] });
 * ```
 */
export async function openSqlServerDataSource(options: SqlServerDataSourceOptions): Promise<DataSource> {
  const typeorm = await import('typeorm');
  const own = sqlServerDataSource(options);
  const logins = new LoginWatch();
  const watched = (connection: WatchedConnection & Parameters<typeof beforeConnect>[0]): void => {
    logins.watch(connection);
    beforeConnect(connection);
  };
  try {
    return await new typeorm.DataSource({ ...own, extra: { ...own.extra, beforeConnect: watched } }).initialize();
  } catch (error) {
    throw explainConnection(logins.explain(error), addressOf(targetOf(options.url, 'sqlServerDataSource')));
  }
}
