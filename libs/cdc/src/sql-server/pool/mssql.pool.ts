import type Mssql from 'mssql';
import type { config, ConnectionPool, Request } from 'mssql';
import { Logger } from '@nestjs/common';
import { explainConnection } from '../errors/connection-problem.js';
import { readDriverError } from '../errors/driver-error.js';
import { SqlServerDriverMissingError } from '../sql-server.errors.js';
import type { SqlServerParameter, SqlServerParameterType, SqlServerStatement } from '../statements/statement.js';
import { addressOf, type SqlServerTarget } from './connection-target.js';
import { LoginWatch } from './login-watch.js';
import { restoreAfterFailure } from './settings-after-failure.js';
import { PACKET_BYTES, sendAtOnce } from './send-at-once.js';
import { type SqlServerAnswer, SqlServerPool, type SqlServerRow } from './sql-server.pool.js';

/** How connections are made. */
export interface MssqlPoolOptions {
  readonly target: SqlServerTarget;
  /** How tedious authenticates, where user and password do not: `{ type: 'azure-active-directory-default', options: { … } }`. */
  readonly authentication?: config['authentication'];
  /** Most connections. */
  readonly size: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Shown on the server: `sys.dm_exec_sessions.program_name`. */
  readonly applicationName: string;
  /** Loads the driver. Default: `import('mssql')`. */
  readonly load?: () => Promise<MssqlDriver>;
}

/** What is used of the package `mssql`. */
export type MssqlDriver = Pick<
  typeof Mssql,
  'ConnectionPool' | 'Request' | 'BigInt' | 'Int' | 'NVarChar' | 'VarBinary' | 'MAX'
>;

interface Open {
  readonly driver: MssqlDriver;
  readonly pool: ConnectionPool;
}

/**
 * A pool of its own over `mssql`, opened by the first statement. A pool that others use would hand out their isolation levels (SQL Server
 * keeps a session's level after its transaction), and TypeORM's cannot begin a snapshot at all: it silently reads committed rows instead.
 */
export class MssqlPool extends SqlServerPool {
  readonly #logger = new Logger(MssqlPool.name);
  readonly #options: MssqlPoolOptions;
  readonly #logins = new LoginWatch();
  #opening: Promise<Open> | undefined;
  #closed = false;

  constructor(options: MssqlPoolOptions) {
    super();
    this.#options = options;
  }

  override async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    signal?.throwIfAborted();
    const opening = this.#open();
    try {
      const { driver, pool } = await opening;
      signal?.throwIfAborted();
      return await this.#request(driver, pool, statement, signal);
    } catch (error) {
      if (signal?.aborted === true) {
        throw signal.reason;
      }
      if (readDriverError(error).messages.some(({ number }) => MOVED.includes(number))) {
        this.#leave(opening);
      }
      throw explainConnection(this.#logins.explain(error), addressOf(this.#options.target));
    }
  }

  override async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    const open = await opening?.catch((error: unknown) => {
      this.#logger.debug(`It never opened (${error instanceof Error ? error.name : typeof error}).`);
    });
    await open?.pool.close();
  }

  async #request(
    driver: MssqlDriver,
    pool: ConnectionPool,
    statement: SqlServerStatement,
    signal: AbortSignal | undefined,
  ): Promise<SqlServerAnswer> {
    const request = new driver.Request(pool);
    request.arrayRowMode = true;
    for (const parameter of statement.parameters) {
      bind(driver, request, parameter);
    }
    const cancel = (): void => request.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      // Not as a stream: rows that precede an error must not be taken for an answer.
      const send = statement.isBatch === true ? 'batch' : 'query';
      const { recordsets } = await request[send]<SqlServerRow[]>(statement.sql);
      return Array.isArray(recordsets) ? recordsets : [];
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** The database is elsewhere: connections to where it was would answer the same for ever. Who says so late speaks of a pool that was left. */
  #leave(failed: Promise<Open>): void {
    if (this.#opening !== failed) {
      return;
    }
    this.#opening = undefined;
    failed
      .then(({ pool }) => pool.close())
      .catch((error: unknown) => {
        this.#logger.debug(`The old pool did not close (${error instanceof Error ? error.name : typeof error}).`);
      });
  }

  #open(): Promise<Open> {
    if (this.#closed) {
      return Promise.reject(new Error('The pool is closed.'));
    }
    this.#opening ??= this.#connect().catch((error: unknown) => {
      // The next statement tries again.
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<Open> {
    const { load = loadMssql } = this.#options;
    const driver = await load();
    const pool = new driver.ConnectionPool(this.#config());
    // Without a listener an error between two statements would end the process.
    pool.on('error', (error: unknown) => {
      this.#logger.warn(`A connection failed (${error instanceof Error ? error.name : typeof error}); it is replaced.`);
    });
    await pool.connect();
    return { driver, pool };
  }

  #config(): config {
    const { target, authentication, size, connectTimeoutMs, requestTimeoutMs, applicationName } = this.#options;
    const { server, database, port, user, password, instanceName } = target;
    return {
      server,
      database,
      ...(port === undefined ? {} : { port }),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(authentication === undefined ? {} : { authentication }),
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // A look at the socket; the default asks the server "SELECT 1" before every statement.
      validateConnection: 'socket',
      pool: { max: size, min: 0, acquireTimeoutMillis: connectTimeoutMs + requestTimeoutMs },
      beforeConnect: (connection) => {
        this.#logins.watch(connection);
        sendAtOnce(connection);
        restoreAfterFailure(connection);
      },
      options: {
        encrypt: target.encrypt ?? true,
        trustServerCertificate: target.trustServerCertificate ?? false,
        appName: applicationName,
        packetSize: PACKET_BYTES,
        // Changes are on the primary alone.
        readOnlyIntent: false,
        ...(instanceName === undefined ? {} : { instanceName }),
      },
    };
  }
}

/** Read-only, secondary, not in its availability group (any more): a failover looks like that from its old primary. */
const MOVED: readonly number[] = [976, 978, 983, 3906, 22117];

/** @throws SqlServerDriverMissingError */
async function loadMssql(): Promise<MssqlDriver> {
  try {
    return (await import('mssql')).default;
  } catch (error) {
    throw new SqlServerDriverMissingError(error);
  }
}

/** Text of up to 4,000 characters has one declaration whatever its length, so that the server keeps one plan. */
const LONGEST_TEXT = 4_000;

function bind(driver: MssqlDriver, request: Request, { name, type, value }: SqlServerParameter): void {
  const types: Readonly<Record<SqlServerParameterType, () => Parameters<Request['input']>[1]>> = {
    bigint: () => driver.BigInt,
    int: () => driver.Int,
    nvarchar: () => driver.NVarChar(LONGEST_TEXT),
    'nvarchar(max)': () => driver.NVarChar(driver.MAX),
    varbinary: () => driver.VarBinary(driver.MAX),
  };
  request.input(name, types[type](), value);
}
