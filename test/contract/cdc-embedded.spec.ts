import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { embeddedCdc, EmbeddedDatabase, EmbeddedStampedReader } from '@smartpulse/cdc/embedded';
import {
  changeSourceContract,
  type ChangeSourceHarness,
  checkpointStoreContract,
  type ContractTransaction,
  ENTRY_TABLE,
  leadershipContract,
  stampedReaderContract,
  STOCK_TABLE,
} from '@smartpulse/cdc/testing';
import { runContract, VirtualClock } from '@smartpulse/resilience/testing';
import { Column, DataSource, Entity, type EntityManager, PrimaryColumn } from 'typeorm';
import { describe, it } from 'vitest';

@Entity('stock')
class Stock {
  @PrimaryColumn('bigint') id!: bigint;
  @Column('integer') level!: number;
  @Column('text', { nullable: true }) note!: string | null;
}

@Entity('entry')
class Entry {
  @PrimaryColumn('text') region!: string;
  @PrimaryColumn('integer') number!: number;
  @Column('integer') amount!: number;
}

const TTL_MS = 3_000;

async function openStock(file?: string) {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'contract', clock, ...(file === undefined ? {} : { file }) });
  const dataSource = await new DataSource(
    database.typeOrmOptions({ name: 'contract', entities: [Stock, Entry], synchronize: true }),
  ).initialize();
  await database.enableTracking([STOCK_TABLE, ENTRY_TABLE]);
  const close = async (): Promise<void> => {
    await dataSource.destroy();
    await database.close();
  };
  return { clock, database, dataSource, close };
}

const entityOf = (table: string) => (table === STOCK_TABLE ? Stock : Entry);

function transaction(manager: EntityManager): ContractTransaction {
  return {
    upsert: async (table, row) => {
      await manager.upsert(entityOf(table), row, table === STOCK_TABLE ? ['id'] : ['region', 'number']);
    },
    delete: async (table, primaryKey) => {
      await manager.delete(entityOf(table), primaryKey);
    },
    rekey: async (table, primaryKey, to) => {
      await manager.update(entityOf(table), primaryKey, to);
    },
  };
}

async function sourceHarness(): Promise<ChangeSourceHarness> {
  const { database, dataSource, close } = await openStock();
  return {
    source: embeddedCdc(database).source,
    commit: (work) => dataSource.transaction(async (manager) => work(transaction(manager))),
    commitWithSavepoint: (kept, undone) =>
      dataSource.transaction(async (manager) => {
        await kept(transaction(manager));
        await manager
          .transaction(async (nested) => {
            await undone(transaction(nested));
            throw new Undone();
          })
          .catch((error: unknown) => {
            if (!(error instanceof Undone)) {
              throw error;
            }
          });
      }),
    commitAs: (origin, work) =>
      database.withChangeContext(origin, () => dataSource.transaction(async (manager) => work(transaction(manager)))),
    cleanUp: async () => {
      await database.cleanUp({ retentionMs: 0 });
    },
    truncate: (table) => database.truncate(table),
    disable: (table) => database.disableTracking([table]),
    enable: (table) => database.enableTracking([table]),
    close,
  };
}

class Undone extends Error {}

runContract(
  { describe, it },
  'ChangeSource: embedded',
  changeSourceContract(sourceHarness, { savepoints: true, origins: true, reenable: true }),
);

runContract(
  { describe, it },
  'CheckpointStore: embedded, in memory',
  checkpointStoreContract(async () => {
    const { database, close } = await openStock();
    return { store: embeddedCdc(database).checkpoints, close };
  }),
);

runContract(
  { describe, it },
  'CheckpointStore: embedded, in a file',
  checkpointStoreContract(
    () => {
      const directory = mkdtempSync(path.join(tmpdir(), 'smartpulse-cdc-'));
      const open = () =>
        EmbeddedDatabase.open({ name: 'contract', clock: new VirtualClock(), file: path.join(directory, 'a.db') });
      let database = open();
      return {
        store: embeddedCdc(database).checkpoints,
        reopen: async () => {
          await database.close();
          database = open();
          return embeddedCdc(database).checkpoints;
        },
        close: async () => {
          await database.close();
          rmSync(directory, { recursive: true });
        },
      };
    },
    { durable: true },
  ),
);

runContract(
  { describe, it },
  'Leadership: embedded',
  leadershipContract(
    () => {
      const clock = new VirtualClock();
      const database = EmbeddedDatabase.open({ name: 'contract', clock });
      const options = { ttlMs: TTL_MS };
      return {
        first: embeddedCdc(database, undefined, options).leadership,
        second: embeddedCdc(database, undefined, options).leadership,
        lose: async () => {
          // A transaction that stands in the way of every renewal, for as long as the lease lives without one.
          const blocker = await new DataSource(database.typeOrmOptions({ name: 'blocker', entities: [] })).initialize();
          const runner = blocker.createQueryRunner();
          await runner.startTransaction();
          await clock.advance(TTL_MS);
          await runner.release();
          await blocker.destroy();
        },
        pass: () => clock.advance(TTL_MS),
        close: async () => {
          await database.close();
          if (clock.pendingTimers > 0) {
            throw new Error(`${clock.pendingTimers} timers are left.`);
          }
        },
      };
    },
    { expires: true, renews: true },
  ),
);

runContract(
  { describe, it },
  'StampedReader: embedded',
  stampedReaderContract(async () => {
    const { database, dataSource, close } = await openStock();
    return {
      reader: new EmbeddedStampedReader(database, dataSource),
      write: async (value) => {
        await dataSource.getRepository(Stock).upsert({ id: 1n, level: value, note: null }, ['id']);
        return database.currentVersion();
      },
      value: async (manager) => (await manager.findOneBy(Stock, { id: 1n }))?.level ?? 0,
      close,
    };
  }, 'snapshot'),
);
