import {
  MssqlPool,
  sqlServerCdc,
  type SqlServerCdcOptions,
  type SqlServerCdcParts,
  sqlServerDataSource,
  type SqlServerStampedReaderOptions,
  type SqlServerTarget,
  sqlServerTargetOf,
} from '@smartpulse/cdc/sql-server';
import { ENTRY_TABLE, STOCK_TABLE } from '@smartpulse/cdc/testing';
import { type Clock, SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';

/** How a database for a test is made. */
export interface StockOptions {
  /** Of the test server and of leases; a real server has its own. */
  readonly clock?: Clock | undefined;
  /** Default: the two tables of the contract suites, tracked. */
  readonly tables?: readonly string[] | undefined;
  /** Default `true`. */
  readonly snapshots?: boolean | undefined;
}

/** Makes a database on a server: the one for tests, or a real one. */
export type StartStock = (options?: StockOptions) => Promise<StockDatabase>;

const TABLES = [
  `CREATE TABLE ${STOCK_TABLE} (id bigint NOT NULL PRIMARY KEY, level int NOT NULL, note nvarchar(200) NULL)`,
  `CREATE TABLE ${ENTRY_TABLE} (region nvarchar(100) COLLATE Latin1_General_100_BIN2 NOT NULL, number int NOT NULL, amount int NOT NULL, PRIMARY KEY (region, number))`,
  `ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`,
  `ALTER TABLE ${ENTRY_TABLE} ENABLE CHANGE_TRACKING`,
];

/** A tracked database behind real TDS, an app's data source on it, and the parts of change capture. */
export class StockDatabase {
  readonly clock: Clock;
  readonly #parts: SqlServerCdcParts[] = [];
  #app: DataSource | undefined;

  /**
   * @param url of a database that is there already, with change tracking on.
   * @param end is called last, with every connection closed.
   */
  constructor(
    readonly url: string,
    private readonly end: () => Promise<void>,
    options: StockOptions = {},
  ) {
    this.clock = options.clock ?? new SystemClock();
  }

  get app(): DataSource {
    if (this.#app === undefined) {
      throw new Error('The database is not open.');
    }
    return this.#app;
  }

  /** Connects the app and makes the tables. */
  async open(options: StockOptions = {}): Promise<this> {
    this.#app = await new DataSource(sqlServerDataSource({ name: 'stock', url: this.url, entities: [] })).initialize();
    return this.makeTables(options);
  }

  async makeTables({ tables = TABLES }: StockOptions = {}): Promise<this> {
    for (const sql of tables) {
      await this.app.query(sql);
    }
    return this;
  }

  /** Connections that the test itself closes. */
  pool(target: Partial<SqlServerTarget> = {}): MssqlPool {
    return new MssqlPool({
      target: { ...sqlServerTargetOf(this.url, 'test'), ...target },
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
    await this.#app?.destroy();
    await this.end();
  }
}
