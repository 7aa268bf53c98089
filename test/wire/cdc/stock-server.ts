import type { TestDatabase } from '../../support/sql-server/engine/direct/test-database.js';
import { SqlServerEngine, type SqlServerEngineOptions } from '../../support/sql-server/engine/sql-server.engine.js';
import {
  startTestSqlServer,
  type TestSqlServer,
  type TestSqlServerOptions,
} from '../../support/sql-server/start-sql-server.js';
import { StockDatabase, type StockOptions } from '../../support/sql-server/suites/stock-database.js';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';

/** A database on a test server of its own, with both in the hands of the test. */
export class StockServer extends StockDatabase {
  private constructor(
    readonly engine: SqlServerEngine,
    readonly database: TestDatabase,
    readonly server: TestSqlServer,
    options: StockOptions,
  ) {
    super(`mssql://sa:any@${server.host}:${server.port}/shop?encrypt=false`, () => server.stop(), options);
  }

  static async start(
    options: StockOptions & {
      readonly faults?: TestSqlServerOptions['faults'];
      readonly product?: SqlServerEngineOptions['product'];
      readonly tls?: TestSqlServerOptions['tls'];
    } = {},
  ): Promise<StockServer> {
    const { clock = new SystemClock(), snapshots = true, faults, product, tls } = options;
    const engine = new SqlServerEngine({
      clock,
      random: new SeededRandom(),
      ...(product === undefined ? {} : { product }),
    });
    const database = engine.createDatabase('shop');
    database.track();
    database.allowSnapshotIsolation = snapshots;
    const server = await startTestSqlServer({
      engine,
      ...(faults === undefined ? {} : { faults }),
      ...(tls === undefined ? {} : { tls }),
    });
    const shop = new StockServer(engine, database, server, { ...options, clock });
    // Behind TLS the test connects by itself.
    return tls === undefined ? shop.open(options) : shop;
  }
}
