import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { MemoryDedupeStore } from '@smartpulse/pulsar';
import { dedupeStoreContract } from '@smartpulse/pulsar/testing';
import { dedupeEntity, SqlDedupeStore } from '@smartpulse/pulsar/typeorm';
import { runContract, SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';

runContract(
  { describe, it },
  'DedupeStore: in memory',
  dedupeStoreContract(() => {
    const clock = new VirtualClock();
    return {
      store: new MemoryDedupeStore({ clock, random: new SeededRandom() }),
      elapse: (ms) => clock.advance(ms),
      close: async () => {},
    };
  }),
);

/** Two data sources of one database, as two replicas have them. */
async function sql(sweepEvery?: number) {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'dedupe', clock });
  const entity = dedupeEntity();
  const dataSource = await new DataSource(
    database.typeOrmOptions({ name: 'dedupe', entities: [entity], synchronize: true }),
  ).initialize();
  const store = new SqlDedupeStore({ dataSource, entity, clock, random: new SeededRandom(), sweepEvery });
  return {
    store,
    clock,
    dataSource,
    entity,
    elapse: (ms: number) => clock.advance(ms),
    close: async () => {
      await dataSource.destroy();
      await database.close();
    },
  };
}

runContract(
  { describe, it },
  'DedupeStore: SQL',
  dedupeStoreContract(() => sql()),
);

describe('SqlDedupeStore', () => {
  it('deletes what is over by itself, now and then, and nothing else', async () => {
    const { store, dataSource, entity, elapse, close } = await sql(10);
    for (let key = 0; key < 9; key++) {
      await store.claim(`k${key}`, key < 5 ? 1_000 : 60_000);
    }
    await elapse(2_000);
    await store.claim('last', 1_000);
    expect(await dataSource.getRepository(entity).count()).toBe(5);
    expect(await store.sweep()).toBe(0);
    await close();
  });

  it('tells why when the table is not there', async () => {
    const { store, dataSource, close } = await sql();
    await dataSource.query('DROP TABLE smartpulse_dedupe');
    await expect(store.claim('k', 1_000)).rejects.toThrow(/smartpulse_dedupe/);
    await close();
  });
});
