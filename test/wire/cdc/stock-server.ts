import {
  MssqlPool,
  sqlServerCdc,
  type SqlServerCdcOptions,
  type SqlServerCdcParts,
  type SqlServerStampedReaderOptions,
  type SqlServerTarget,
} from '@smartpulse/cdc/sql-server';
import { ENTRY_TABLE, STOCK_TABLE } from '@smartpulse/cdc/testing';
import { type Clock, SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import type { TestDatabase } from '../../support/sql-server/engine/direct/test-database.js';
import { SqlServerEngine, type SqlServerEngineOptions } from '../../support/sql-server/engine/sql-server.engine.js';
import {
  startTestSqlServer,
  type TestSqlServer,
  type TestSqlServerOptions,
} from '../../support/sql-server/start-sql-server.js';

const TABLES = [
  `CREATE TABLE ${STOCK_TABLE} (id bigint NOT NULL PRIMARY KEY, level int NOT NULL, note nvarchar(200) NULL)`,
  `CREATE TABLE ${ENTRY_TABLE} (region nvarchar(100) COLLATE Latin1_General_100_BIN2 NOT NULL, number int NOT NULL, amount int NOT NULL, PRIMARY KEY (region, number))`,
  `ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`,
  `ALTER TABLE ${ENTRY_TABLE} ENABLE CHANGE_TRACKING`,
];

/** A tracked database behind real TDS, an app's data source on it, and the parts of change capture. */
export class StockServer {
  readonly #parts: SqlServerCdcParts[] = [];

  private constructor(
    readonly engine: SqlServerEngine,
    readonly database: TestDatabase,
    readonly server: TestSqlServer,
    readonly app: DataSource,
    readonly clock: Clock,
  ) {}

  /** @param clock of the server and of leases. */
  static async start(
    options: {
      readonly clock?: Clock;
      readonly faults?: TestSqlServerOptions['faults'];
      readonly tables?: readonly string[];
      readonly product?: SqlServerEngineOptions['product'];
    } = {},
  ): Promise<StockServer> {
    const clock = options.clock ?? new SystemClock();
    const { product } = options;
    const engine = new SqlServerEngine({
      clock,
      random: new SeededRandom(),
      ...(product === undefined ? {} : { product }),
    });
    const database = engine.createDatabase('shop');
    database.track();
    database.allowSnapshotIsolation = true;
    const server = await startTestSqlServer({
      engine,
      ...(options.faults === undefined ? {} : { faults: options.faults }),
    });
    const app = await new DataSource({
      type: 'mssql',
      host: server.host,
      port: server.port,
      username: 'sa',
      password: 'any',
      database: 'shop',
      options: { encrypt: false },
      pool: { max: 10 },
    }).initialize();
    for (const sql of options.tables ?? TABLES) {
      await app.query(sql);
    }
    return new StockServer(engine, database, server, app, clock);
  }

  get url(): string {
    return `mssql://sa:any@${this.server.host}:${this.server.port}/shop?encrypt=false`;
  }

  /** Connections that the test itself closes. */
  pool(target: Partial<SqlServerTarget> = {}): MssqlPool {
    const { host, port } = this.server;
    return new MssqlPool({
      target: { server: host, port, database: 'shop', user: 'sa', password: 'any', encrypt: false, ...target },
      size: 4,
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      applicationName: 'test',
    });
  }

  /** The parts of one replica. */
  replica(options: Partial<SqlServerCdcOptions> = {}, reader?: SqlServerStampedReaderOptions): SqlServerCdcParts {
    const given = options.pool === undefined ? { url: this.url } : {};
    const parts = sqlServerCdc(
      {
        name: 'shop',
        createBookkeeping: true,
        clock: this.clock,
        random: new SeededRandom(this.#parts.length + 1),
        ...given,
        ...options,
      },
      this.app,
      reader,
    );
    this.#parts.push(parts);
    return parts;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#parts.map(({ source }) => source.close()));
    await this.app.destroy();
    await this.server.stop();
  }
}
