import { examineSqlServer, mendSqlServer } from '@smartpulse/cdc/sql-server';
import { describe, expect, it } from 'vitest';
import { StockServer } from './stock-server.js';

const severities = (findings: Awaited<ReturnType<typeof examineSqlServer>>) => findings.map(({ severity }) => severity);

describe('the doctor on SQL Server', () => {
  it('finds what a bare database lacks, and its own statements add all of it', async () => {
    const shop = await StockServer.start({
      tables: ['CREATE TABLE dbo.stock (id bigint NOT NULL PRIMARY KEY, level int NOT NULL)'],
    });
    shop.database.allowSnapshotIsolation = false;
    const pool = shop.pool();
    try {
      const before = await examineSqlServer(pool, ['dbo.stock', 'dbo.nowhere']);
      expect(severities(before)).toEqual(['warning', 'error', 'error', 'error']);
      expect(await mendSqlServer(pool, before)).toBe(8);

      expect(await examineSqlServer(pool, ['dbo.stock'])).toEqual([]);
      const { source } = shop.replica({ createBookkeeping: false });
      expect((await source.state(['dbo.stock'])).tables.get('dbo.stock')).not.toBeNull();
    } finally {
      await pool.close();
      await shop.stop();
    }
  });
});
