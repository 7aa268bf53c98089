import { sqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { StockDatabase, type StockOptions } from '../../support/sql-server/suites/stock-database.js';

/** A database of its own on a real server, and how to be rid of it. */
export interface RealDatabase {
  readonly url: string;
  readonly drop: () => Promise<void>;
}

/** Creates an empty database on the server that the URL names; its login may create databases. */
export async function createRealDatabase(serverUrl: string): Promise<RealDatabase> {
  const name = `smartpulse_test_${randomBytes(6).toString('hex')}`;
  const around = sqlServerDataSource({ name: 'smartpulse-tests', url: serverUrl, entities: [], poolSize: 1 });
  const server = await new DataSource(around).initialize();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await server.query(`CREATE DATABASE [${name}]`);
  return {
    url: url.href,
    drop: async () => {
      await server.query(`ALTER DATABASE [${name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE`);
      await server.query(`DROP DATABASE [${name}]`);
      await server.destroy();
    },
  };
}

/** {@link createRealDatabase}, tracked, with tables. */
export async function startRealStock(serverUrl: string, options: StockOptions = {}): Promise<StockDatabase> {
  const { url, drop } = await createRealDatabase(serverUrl);
  const stock = await new StockDatabase(url, drop, options).open({ tables: [] });
  await stock.app.query(
    'ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)',
  );
  if (options.snapshots !== false) {
    await stock.app.query('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON');
  }
  return stock.makeTables(options);
}
