import type { SqlServerDataSourceOptions as MssqlOptions } from 'typeorm/driver/sqlserver/SqlServerDataSourceOptions.js';
import { targetOf } from '../pool/connection-target.js';
import { keepDefaultIsolation, type TransactingConnection } from '../pool/default-isolation.js';
import { PACKET_BYTES, type SendingConnection, sendAtOnce } from '../pool/send-at-once.js';

/** How an app's data source on SQL Server is set up. */
export interface SqlServerDataSourceOptions {
  /** Unique in its app (`@nestjs/typeorm`); the server calls the connections by it. */
  readonly name: string;
  /** `mssql://user:password@host:1433/database?encrypt=true&trustServerCertificate=false`. */
  readonly url: string;
  /** The entities of this app, and only those. */
  readonly entities: NonNullable<MssqlOptions['entities']>;
  /** How tedious authenticates where the URL has no user. */
  readonly authentication?: MssqlOptions['authentication'];
  /** Most connections. Default 10. */
  readonly poolSize?: number | undefined;
  /** TypeORM's own: whether it creates and changes the tables of `entities` at start. Default `false`. */
  readonly synchronize?: boolean | undefined;
  /** TypeORM's own: classes or files of migrations; `runSqlServerMigrations` runs them. */
  readonly migrations?: NonNullable<MssqlOptions['migrations']> | undefined;
  /** TypeORM's own: the table that says which migrations ran. Apps that share a database need one each. */
  readonly migrationsTableName?: string | undefined;
}

/** What `new DataSource(…)` and `TypeOrmModule.forRoot(…)` take. */
export type SqlServerTypeOrmOptions = MssqlOptions & { readonly name: string };

const DEFAULT_POOL_SIZE = 10;

/** What every connection of a data source gets before it connects. */
export function beforeConnect(connection: SendingConnection & TransactingConnection): void {
  sendAtOnce(connection);
  keepDefaultIsolation(connection);
}

/**
 * TypeORM's options for a data source on SQL Server: by one URL, encrypted unless it says otherwise, with dates in UTC, and with connections
 * that a transaction of another isolation level leaves at the default.
 *
 * @throws ConfigurationError that never quotes the URL: it holds a password.
 * @example
 * ```ts
 * TypeOrmModule.forRoot(sqlServerDataSource({ name: 'forecasts', url: 'mssql://app:secret@sql.internal/forecasts', entities: [Forecast] }));
 * ```
 */
export function sqlServerDataSource(options: SqlServerDataSourceOptions): SqlServerTypeOrmOptions {
  const { name, url, entities, authentication, poolSize = DEFAULT_POOL_SIZE, synchronize, migrations } = options;
  const { server, port, instanceName, database, user, password, ...line } = targetOf(url, 'sqlServerDataSource');
  return {
    type: 'mssql',
    name,
    host: server,
    database,
    entities,
    synchronize: synchronize ?? false,
    pool: { max: poolSize },
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(authentication === undefined ? {} : { authentication }),
    ...(migrations === undefined ? {} : { migrations }),
    ...(options.migrationsTableName === undefined ? {} : { migrationsTableName: options.migrationsTableName }),
    options: {
      encrypt: line.encrypt ?? true,
      trustServerCertificate: line.trustServerCertificate ?? false,
      appName: name,
      packetSize: PACKET_BYTES,
      useUTC: true,
      ...(instanceName === undefined ? {} : { instanceName }),
    },
    // A look at the socket; the default asks the server "SELECT 1" before every statement.
    extra: { validateConnection: 'socket', beforeConnect },
  };
}
