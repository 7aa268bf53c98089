import sql, { type config as PoolSettings, type ConnectionPool } from 'mssql';
import { Connection, type ConnectionConfiguration, Request } from 'tedious';
import type { TestSqlServer } from '../support/sql-server/start-sql-server.js';

type Options = NonNullable<ConnectionConfiguration['options']>;

/** A pool of real `mssql`; whoever asks closes it. */
export async function connectPool(server: TestSqlServer, more: Partial<PoolSettings> = {}): Promise<ConnectionPool> {
  const pool = new sql.ConnectionPool({
    server: server.host,
    port: server.port,
    user: 'reader',
    password: 'right',
    database: 'shop',
    ...more,
    options: { encrypt: false, ...more.options },
  });
  // Without a listener a late socket error ends the process.
  pool.on('error', () => undefined);
  return pool.connect();
}

/** A connection of real `tedious`; whoever asks closes it. */
export async function connect(
  server: TestSqlServer,
  options: Options = {},
  prepare: (connection: Connection) => void = () => undefined,
): Promise<Connection> {
  const connection = new Connection({
    server: server.host,
    authentication: { type: 'default', options: { userName: 'reader', password: 'right' } },
    options: { port: server.port, encrypt: false, database: 'shop', ...options },
  });
  connection.on('error', () => undefined);
  prepare(connection);
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()));
  });
  return connection;
}

/** One column's values as tedious read them. */
export interface TediousAnswer {
  readonly rows: readonly (readonly unknown[])[];
  readonly rowCount: number | undefined;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** Executes over RPC (`sp_executesql`), or as a batch. */
export function execute(
  connection: Connection,
  sql: string,
  { batch = false, prepare = () => undefined }: { batch?: boolean; prepare?: (request: Request) => void } = {},
): Promise<TediousAnswer> {
  return new Promise((resolve, reject) => {
    const rows: unknown[][] = [];
    const outputs: Record<string, unknown> = {};
    const request = new Request(sql, (error, rowCount) => {
      if (error) {
        reject(error);
      } else {
        resolve({ rows, rowCount, outputs });
      }
    });
    request.on('row', (columns: { value: unknown }[]) => rows.push(columns.map(({ value }) => value)));
    request.on('returnValue', (name: string, value: unknown) => {
      outputs[name] = value;
    });
    prepare(request);
    if (batch) {
      connection.execSqlBatch(request);
    } else {
      connection.execSql(request);
    }
  });
}
