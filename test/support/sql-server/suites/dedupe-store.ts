import { sqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { dedupeStoreContract } from '@smartpulse/pulsar/testing';
import { dedupeEntity, SqlDedupeStore } from '@smartpulse/pulsar/typeorm';
import { runContract, SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { StartStock } from './stock-database.js';

/** `SqlDedupeStore` under its contract. */
export function dedupeStoreSuite(start: StartStock): void {
  /** The store on a data source of its own; `synchronize` makes its table and index. */
  async function sqlServer(sweepEvery?: number) {
    const clock = new VirtualClock();
    const shop = await start({ tables: [] });
    const entity = dedupeEntity();
    const dataSource = await new DataSource(
      sqlServerDataSource({ name: 'dedupe', url: shop.url, entities: [entity], synchronize: true }),
    ).initialize();
    const store = (seed: number) =>
      new SqlDedupeStore({ dataSource, entity, clock, random: new SeededRandom(seed), sweepEvery });
    return {
      store: store(1),
      other: store(2),
      dataSource,
      entity,
      elapse: (ms: number) => clock.advance(ms),
      close: async () => {
        await dataSource.destroy();
        await shop.stop();
      },
    };
  }

  runContract(
    { describe, it },
    'DedupeStore: SQL Server',
    dedupeStoreContract(() => sqlServer()),
  );

  describe('SqlDedupeStore on SQL Server', () => {
    it('sweeps in parts', async () => {
      const { store, dataSource, entity, elapse, close } = await sqlServer(10);
      for (let key = 0; key < 9; key++) {
        await store.claim(`k${key}`, key < 5 ? 1_000 : 60_000);
      }
      await elapse(2_000);
      await store.claim('last', 1_000);
      expect(await dataSource.getRepository(entity).count()).toBe(5);
      expect(await store.sweep()).toBe(0);
      await close();
    });

    it('gives one of many claims at once the key, on connections of their own', async () => {
      const { store, other, close } = await sqlServer();
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? store : other).claim('k', 1_000)),
      );
      expect(claims.filter(({ state }) => state === 'claimed')).toHaveLength(1);
      await close();
    });
  });
}
