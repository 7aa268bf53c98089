import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { Column, DataSource, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { EmbeddedDatabase } from '../embedded.database.js';
import {
  EmbeddedDatabaseClosedError,
  EmbeddedNestedTurnError,
  EmbeddedStatementError,
  EmbeddedTransactionLostError,
  EmbeddedTurnExpiredError,
} from '../embedded.errors.js';
import { EmbeddedStampedReader } from '../embedded.stamped.reader.js';

@Entity('item')
class Item {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
  @Column('boolean', { default: false }) done!: boolean;
  @Column('datetime', { nullable: true }) at!: Date | null;
  @Column('bigint', { nullable: true }) big!: bigint | number | null;
  @Column('decimal', { precision: 10, scale: 2, nullable: true }) price!: number | null;
}

@Entity('other')
class Other {
  @PrimaryColumn('text') id!: string;
}

const TURN_MS = 5_000;
const open: EmbeddedDatabase[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((database) => database.close()));
});

async function start() {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'db', clock, turnTimeoutMs: TURN_MS });
  open.push(database);
  const dataSource = await connect(database, 'writer');
  return { clock, database, dataSource };
}

const connect = (database: EmbeddedDatabase, name: string): Promise<DataSource> =>
  new DataSource(database.typeOrmOptions({ name, entities: [Item], synchronize: true })).initialize();

const item = (name: string) => ({ name, done: true, at: new Date('2026-01-31T23:45:00.120Z'), big: null, price: 1.25 });

describe('a data source on an embedded database', () => {
  it('reads back what it stored: booleans, dates, integers of any size, NULL', async () => {
    const { dataSource } = await start();
    const items = dataSource.getRepository(Item);
    const big = 9_007_199_254_740_993n;
    await items.insert([item('a'), { ...item('b'), big, at: null }, { ...item('c'), big: 5 }]);

    const found = await items.find({ order: { id: 'ASC' } });

    expect(found).toEqual([
      { id: 1, ...item('a') },
      { id: 2, ...item('b'), big, at: null },
      { id: 3, ...item('c'), big: 5 },
    ]);
    expect(await items.findOneBy({ at: new Date('2026-01-31T23:45:00.120Z'), big: 5 })).toMatchObject({ name: 'c' });
    expect(await items.update({ done: true }, { done: false })).toMatchObject({ affected: 3 });
  });

  it('works through @nestjs/typeorm, whose app gives the connection back and leaves the database open', async () => {
    const { database, dataSource } = await start();
    @Module({
      imports: [
        TypeOrmModule.forRoot(database.typeOrmOptions({ name: 'app', entities: [Item, Other], synchronize: true })),
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    const ofApp = app.get<DataSource>('appDataSource');
    await ofApp.getRepository(Other).save({ id: 'x' });
    await app.close();

    expect(ofApp.isInitialized).toBe(false);
    await dataSource.getRepository(Item).insert(item('after'));
    expect(await dataSource.query('SELECT count(*) AS n FROM other')).toEqual([{ n: 1 }]);
    await expect(ofApp.query('SELECT 1')).rejects.toThrow();
  });

  it('stops a transaction that outlives its turn, names it, leaves nothing of it and goes on', async () => {
    const { clock, database, dataSource } = await start();
    const stuck = dataSource.transaction(async (manager) => {
      await manager.insert(Item, item('lost'));
      await clock.sleep(TURN_MS + 1);
      await manager.insert(Item, item('lost too'));
    });
    const outcome = stuck.catch((error: unknown) => error);
    await clock.settle();
    const waiting = dataSource.getRepository(Item).count();
    await clock.settle();
    expect(database.waitingTurns).toBe(1);
    await clock.advance(TURN_MS + 1);

    expect(await waiting).toBe(0);
    const error = await outcome;
    expect(error).toBeInstanceOf(EmbeddedTurnExpiredError);
    expect(String(error)).toContain('writer: BEGIN TRANSACTION');
    expect(await dataSource.getRepository(Item).count()).toBe(0);
    await dataSource.transaction((manager) => manager.insert(Item, item('kept')));
    expect(await dataSource.getRepository(Item).count()).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    ['another manager', (all: DataSource) => all.getRepository(Item).count()],
    ['another transaction', (all: DataSource) => all.transaction((manager) => manager.count(Item))],
    [
      'a stamped read',
      (all: DataSource, database: EmbeddedDatabase) =>
        new EmbeddedStampedReader(database, all).read((manager) => manager.count(Item)),
    ],
    ['an adapter', (_: DataSource, database: EmbeddedDatabase) => database.raiseEpoch(1n)],
  ])('tells %s inside a transaction that it waits for that transaction itself', async (_, wait) => {
    const { clock, database, dataSource } = await start();
    const outcome = dataSource
      .transaction('SERIALIZABLE', async (manager) => {
        await manager.insert(Item, item('lost'));
        await wait(dataSource, database);
      })
      .catch((error: unknown) => error);
    await clock.advance(1_000);

    expect(await outcome).toBeInstanceOf(EmbeddedNestedTurnError);
    expect(await outcome).toMatchObject({ holder: expect.stringContaining('writer: BEGIN') });
    expect(await dataSource.getRepository(Item).count()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tells it inside a stamped read, too', async () => {
    const { clock, database, dataSource } = await start();
    const outcome = new EmbeddedStampedReader(database, dataSource)
      .read(() => dataSource.getRepository(Item).count())
      .catch((error: unknown) => error);
    await clock.advance(1_000);

    expect(await outcome).toBeInstanceOf(EmbeddedNestedTurnError);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets work that a transaction begins and does not await have its turn afterwards', async () => {
    const { clock, dataSource } = await start();
    const begun: Promise<unknown>[] = [];
    await dataSource.transaction(async (manager) => {
      begun.push(dataSource.getRepository(Item).insert(item('beside')));
      await manager.insert(Item, item('inside'));
      begun.push(dataSource.transaction((other) => other.insert(Item, item('beside, too'))));
    });
    await Promise.all(begun);

    expect((await dataSource.getRepository(Item).find()).map(({ name }) => name)).toEqual([
      'inside',
      'beside',
      'beside, too',
    ]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses a text of several statements, of which SQLite would run only the first', async () => {
    const { dataSource } = await start();
    const two = `INSERT INTO item (name) VALUES ('a'); INSERT INTO item (name) VALUES ('b')`;
    await expect(dataSource.query(two)).rejects.toThrow('more than one statement');
    await expect(dataSource.query('SELECT 1; COMMIT')).rejects.toThrow('more than one statement');
    expect(await dataSource.getRepository(Item).count()).toBe(0);
    await dataSource.query(`INSERT INTO item (name) VALUES ('a;b'); -- the end\n ; /* of it */`);
    expect(await dataSource.getRepository(Item).count()).toBe(1);
  });

  it('is not stopped by a query runner that nobody releases outside a transaction', async () => {
    const { clock, dataSource } = await start();
    const forgotten = dataSource.createQueryRunner();
    await forgotten.query('SELECT 1');
    await forgotten.startTransaction();
    await forgotten.query(`INSERT INTO item (name) VALUES ('a')`);
    await forgotten.commitTransaction();

    expect(await dataSource.getRepository(Item).count()).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rolls back what a runner has open when it is released, and refuses it afterwards', async () => {
    const { clock, dataSource } = await start();
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`INSERT INTO item (name) VALUES ('a')`);
    await runner.release();
    await runner.release();

    expect(await dataSource.getRepository(Item).count()).toBe(0);
    await expect(runner.query('SELECT 1')).rejects.toThrow('already released');
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses later statements of a transaction that SQLite itself ended, so that none of them is committed alone', async () => {
    const { dataSource } = await start();
    await dataSource.query(`INSERT INTO item (id, name) VALUES (1, 'there')`);
    const failures: unknown[] = [];
    await expect(
      dataSource.transaction(async (manager) => {
        await manager.insert(Item, item('a'));
        await manager.query(`INSERT OR ROLLBACK INTO item (id, name) VALUES (1, 'again')`).catch((error: unknown) => {
          failures.push(error);
        });
        await manager.insert(Item, item('b'));
      }),
    ).rejects.toBeInstanceOf(EmbeddedTransactionLostError);

    expect(failures).toHaveLength(1);
    expect(await dataSource.getRepository(Item).find()).toMatchObject([{ name: 'there' }]);
    await dataSource.transaction((manager) => manager.insert(Item, item('later')));
    expect(await dataSource.getRepository(Item).count()).toBe(2);
  });

  it('undoes a nested transaction alone', async () => {
    const { dataSource } = await start();
    await dataSource.transaction(async (outer) => {
      await outer.insert(Item, item('kept'));
      await expect(
        outer.transaction(async (inner) => {
          await inner.insert(Item, item('undone'));
          throw new Error('planned');
        }),
      ).rejects.toThrow('planned');
      await outer.transaction((inner) => inner.insert(Item, item('kept, too')));
    });

    expect((await dataSource.getRepository(Item).find()).map(({ name }) => name)).toEqual(['kept', 'kept, too']);
  });

  it('is told by a typed error when the database is closed, and may be destroyed then', async () => {
    const { clock, database, dataSource } = await start();
    const running = dataSource.transaction(async (manager) => {
      await manager.insert(Item, item('a'));
      await new Promise((resolve) => setImmediate(resolve));
      await manager.insert(Item, item('b'));
    });
    await clock.settle();
    const closing = database.close();
    await expect(dataSource.query('SELECT 1')).rejects.toBeInstanceOf(EmbeddedDatabaseClosedError);
    await running;
    await closing;
    await database.close();
    await dataSource.destroy();
    await expect(connect(database, 'late')).rejects.toBeInstanceOf(EmbeddedDatabaseClosedError);
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses options whose cache was replaced, since its callers would share one runner', async () => {
    const { database } = await start();
    const options = { ...database.typeOrmOptions({ name: 'bare', entities: [Item] }), cache: false };
    await expect(new DataSource(options).initialize()).rejects.toBeInstanceOf(EmbeddedStatementError);
  });

  it('refuses a savepoint outside a transaction, whose release would commit past the change log', async () => {
    const { dataSource } = await start();
    await expect(dataSource.query('SAVEPOINT a')).rejects.toThrow('Begin a transaction first');
  });

  it('keeps foreign keys on after a schema change', async () => {
    const { dataSource } = await start();
    await dataSource.synchronize();
    expect(await dataSource.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }]);
  });
});

describe('EmbeddedStampedReader', () => {
  it('refuses writes of the work, and lets others write afterwards', async () => {
    const { clock, database, dataSource } = await start();
    const reader = new EmbeddedStampedReader(database, dataSource);
    await expect(reader.read((manager) => manager.insert(Item, item('a')))).rejects.toThrow('readonly');
    // Even when the work ends its transaction itself.
    await expect(
      reader.read(async (manager) => {
        await manager.query('COMMIT');
        throw new Error('planned');
      }),
    ).rejects.toThrow();

    await dataSource.getRepository(Item).insert(item('b'));
    expect((await reader.read((manager) => manager.count(Item))).value).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tells a work that took too long, also when it read nothing later', async () => {
    const { clock, database, dataSource } = await start();
    const reader = new EmbeddedStampedReader(database, dataSource);
    const read = reader.read(() => clock.sleep(TURN_MS + 1)).catch((error: unknown) => error);
    await clock.advance(TURN_MS + 1);

    expect(await read).toBeInstanceOf(EmbeddedTurnExpiredError);
    await dataSource.getRepository(Item).insert(item('b'));
  });

  it('refuses a data source of another database', async () => {
    const { dataSource } = await start();
    const { database } = await start();
    const reader = new EmbeddedStampedReader(database, dataSource);
    await expect(reader.read(() => Promise.resolve(1))).rejects.toBeInstanceOf(EmbeddedStatementError);
  });
});
