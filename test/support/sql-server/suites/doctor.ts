import { examineSqlServer, mendSqlServer } from '@smartpulse/cdc/sql-server';
import { describe, expect, it } from 'vitest';
import type { StartStock } from './stock-database.js';

const TABLE = 'dbo.stock';

/** What the doctor says of a bare database, and mends. */
export function doctorSuite(start: StartStock): void {
  describe('the doctor on SQL Server', () => {
    it('finds what a bare database lacks, and its own statements add all of it', async () => {
      const shop = await start({
        snapshots: false,
        tables: [`CREATE TABLE ${TABLE} (id bigint NOT NULL PRIMARY KEY, level int NOT NULL)`],
      });
      const pool = shop.pool();
      try {
        const before = await examineSqlServer(pool, [TABLE, 'dbo.nowhere']);
        expect(before.map(({ code }) => code)).toEqual([
          'snapshotsOff',
          'bookkeepingMissing',
          'tableNotTracked',
          'tableMissing',
        ]);
        const printed = before.flatMap(({ sql }) => sql);
        expect(await mendSqlServer(pool, before)).toEqual({ ran: printed, refused: [] });

        expect(await examineSqlServer(pool, [TABLE])).toEqual([]);
        const { source } = shop.replica({ createBookkeeping: false });
        expect((await source.state([TABLE])).tables.get(TABLE)).not.toBeNull();
      } finally {
        await pool.close();
        await shop.stop();
      }
    });
  });
}
