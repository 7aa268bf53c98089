import { withChangeContext } from '@smartpulse/cdc/sql-server';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import type { EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StartStock, StockDatabase } from './stock-database.js';

const insert = (manager: EntityManager, id: number): Promise<unknown> =>
  manager.query(`INSERT INTO ${STOCK_TABLE} (id, level) VALUES (@0, 1)`, [id]);

async function originsIn(shop: StockDatabase): Promise<ReadonlyMap<unknown, string | null>> {
  const { signal } = new AbortController();
  const page = await shop
    .replica()
    .source.readPage({ table: STOCK_TABLE, after: 0n, cursor: null, limit: 100, signal });
  return new Map(page.changes.map(({ primaryKey, origin }) => [primaryKey['id'], origin]));
}

/** Who wrote, beside what was written. */
export function changeContextSuite(start: StartStock): void {
  describe('withChangeContext', () => {
    let shop: StockDatabase;

    beforeEach(async () => {
      shop = await start();
    });
    afterEach(() => shop.stop());

    it('marks what is written by its manager, also in savepoints, and nothing that is written before or after', async () => {
      await shop.app.transaction(async (manager) => {
        await insert(manager, 1);
        await withChangeContext(manager, 'importer', async (tagged) => {
          await insert(tagged, 2);
          await tagged.transaction((nested) => insert(nested, 3));
        });
        await insert(manager, 4);
        await manager.transaction((nested) => insert(nested, 5));
        await manager.transaction((nested) =>
          withChangeContext(nested, 'other', async (tagged) => {
            await insert(tagged, 6);
          }),
        );
      });
      expect(await originsIn(shop)).toEqual(
        new Map([
          [1, null],
          [2, 'importer'],
          [3, 'importer'],
          [4, null],
          [5, null],
          [6, 'other'],
        ]),
      );
    });
  });
}
