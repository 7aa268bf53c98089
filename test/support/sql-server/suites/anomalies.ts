import { ENTRY_TABLE, STOCK_TABLE } from '@smartpulse/cdc/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { caughtUp, follow, resyncsOf } from './follower.js';
import type { StartStock, StockDatabase } from './stock-database.js';

const WAIT = { timeout: 20_000, interval: 10 };

/** What a follower meets on any server, without anybody's help: large transactions, restarts, truncates, tables that go and come back. */
export function anomaliesSuite(start: StartStock): void {
  describe('a Nest app that follows a table of SQL Server', () => {
    let shop: StockDatabase;

    beforeEach(async () => {
      shop = await start();
    });
    afterEach(() => shop.stop());

    const write = (from: number, to: number, level: number): Promise<unknown> =>
      shop.app.transaction(async (manager) => {
        await manager.query(`DELETE FROM ${STOCK_TABLE} WHERE id BETWEEN @0 AND @1`, [from, to]);
        const rows = Array.from({ length: to - from + 1 }, (_, index) => `(${from + index}, @0)`);
        await manager.query(`INSERT INTO ${STOCK_TABLE} (id, level) VALUES ${rows.join(', ')}`, [level]);
      });

    it('hears of transactions larger than a page, and goes on from its checkpoint in the next process', async () => {
      await write(1, 12, 1);
      const first = await follow(shop, async (_, registry) => {
        await caughtUp(shop, registry);
        await write(10, 40, 2);
        await caughtUp(shop, registry);
      });
      await write(3, 3, 3);
      const second = await follow(shop, async (_, registry) => caughtUp(shop, registry));

      expect(first.slice(0, 12).every(({ operation }) => operation === 'snapshot')).toBe(true);
      expect(first.slice(12).map(({ primaryKey }) => primaryKey['id'])).toEqual(
        Array.from({ length: 31 }, (_, index) => index + 10),
      );
      expect(second).toMatchObject([{ operation: 'upsert', primaryKey: { id: 3 }, row: { level: 3 } }]);
    });

    it.each([
      ['was truncated when everything had been read', 'tableTruncated', [`TRUNCATE TABLE ${STOCK_TABLE}`]],
      [
        'was not tracked for a while',
        undefined,
        [
          `ALTER TABLE ${STOCK_TABLE} DISABLE CHANGE_TRACKING`,
          `ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`,
        ],
      ],
      ['got another column', 'schemaChanged', [`ALTER TABLE ${STOCK_TABLE} ADD extra int NULL`]],
      [
        'was dropped and made again',
        undefined,
        [
          `DROP TABLE ${STOCK_TABLE}`,
          `CREATE TABLE ${STOCK_TABLE} (id bigint NOT NULL PRIMARY KEY, level int NOT NULL, note nvarchar(200) NULL)`,
          `ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING`,
        ],
      ],
    ] as const)('reads the table anew when it %s', async (_what, reason, statements) => {
      await write(1, 9, 1);
      await follow(shop, async (follower, registry) => {
        await caughtUp(shop, registry);
        const before = Object.values(resyncsOf(registry)).reduce((sum, count) => sum + count, 0);
        // In one message, so that nobody looks between two of them.
        await shop.app.query(statements.join(';\n'));
        await expect
          .poll(() => Object.values(resyncsOf(registry)).reduce((sum, count) => sum + count, 0), WAIT)
          .toBeGreaterThan(before);
        if (reason !== undefined) {
          expect(resyncsOf(registry)[reason]).toBe(1);
        }
        await write(100, 103, 7);
        await caughtUp(shop, registry);
        const heard = follower.changes.filter(({ row }) => row?.['level'] === 7);
        expect(new Set(heard.map(({ primaryKey }) => primaryKey['id']))).toEqual(new Set([100, 101, 102, 103]));
      });
    });

    it('tells that its database does not track any more, and reads all anew in the next process once it does', async () => {
      const both = async (what: string): Promise<void> => {
        for (const table of [STOCK_TABLE, ENTRY_TABLE]) {
          await shop.app.query(`ALTER TABLE ${table} ${what}`);
        }
      };
      await write(1, 9, 1);
      await follow(shop, async (_, registry) => {
        await caughtUp(shop, registry);
        await both('DISABLE CHANGE_TRACKING');
        await shop.app.query('ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF');
        await expect.poll(() => registry.get(STOCK_TABLE, 'follower')?.snapshot().failure, WAIT).toBe('configuration');
      });
      await write(3, 3, 7);
      await shop.app.query(
        'ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)',
      );
      await both('ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)');
      const changes = await follow(shop, async (_, registry) => caughtUp(shop, registry));
      expect(changes.map(({ primaryKey, row }) => [primaryKey['id'], row?.['level']])).toEqual(
        Array.from({ length: 9 }, (_, index) => [index + 1, index === 2 ? 7 : 1]),
      );
    });

    it('can see any truncate but one: of a table since whose tracking began nothing was committed, which leaves all as it was', async () => {
      await shop.app.query(
        [
          `ALTER TABLE ${STOCK_TABLE} DISABLE CHANGE_TRACKING`,
          `INSERT INTO ${STOCK_TABLE} (id, level) VALUES (1, 1), (2, 1)`,
          `ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`,
        ].join(';\n'),
      );
      const { source } = shop.replica();
      const everything = async () => {
        const state = await source.state([STOCK_TABLE]);
        const tracking = await shop.app.query<unknown[]>(
          'SELECT t.*, CHANGE_TRACKING_CURRENT_VERSION() AS now FROM sys.change_tracking_tables AS t',
        );
        const { signal } = new AbortController();
        const after = state.currentVersion;
        const page = await source.readPage({ table: STOCK_TABLE, after, cursor: null, limit: 9, signal });
        return { state, tracking, page, table: await source.describe(STOCK_TABLE) };
      };
      const truncated = async () => {
        const before = await everything();
        await shop.app.query(`TRUNCATE TABLE ${STOCK_TABLE}`);
        expect(await shop.app.query(`SELECT id FROM ${STOCK_TABLE}`)).toEqual([]);
        return [before, await everything()] as const;
      };

      const [before, after] = await truncated();
      expect(after).toEqual(before);
      // One commit, of whatever tracked table, and the next one is seen.
      await shop.app.query(`INSERT INTO ${ENTRY_TABLE} (region, number, amount) VALUES (N'a', 1, 1)`);
      const [known, seen] = await truncated();
      const begins = [known, seen].map(({ state }) => state.tables.get(STOCK_TABLE)?.beginVersion);
      expect(begins).toEqual([before.state.currentVersion, known.state.currentVersion]);
      expect(begins[0]).not.toBe(begins[1]);
    });

    it('goes on when the server has ended all of its sessions', async () => {
      await write(1, 3, 1);
      await follow(shop, async (follower, registry) => {
        await caughtUp(shop, registry);
        await shop.app.query(
          'ALTER DATABASE CURRENT SET SINGLE_USER WITH ROLLBACK IMMEDIATE; ALTER DATABASE CURRENT SET MULTI_USER',
        );
        await write(4, 20, 2);
        await caughtUp(shop, registry);
        expect(follower.changes.filter(({ row }) => row?.['level'] === 2).length).toBeGreaterThanOrEqual(17);
      });
    });
  });
}
