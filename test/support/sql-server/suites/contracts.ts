import assert from 'node:assert/strict';
import {
  type SqlServerAnswer,
  SqlServerPool,
  type SqlServerStatement,
  withChangeContext,
} from '@smartpulse/cdc/sql-server';
import {
  changeSourceContract,
  type ChangeSourceHarness,
  checkpointStoreContract,
  type ContractTransaction,
  leadershipContract,
  stampedReaderContract,
  STOCK_TABLE,
} from '@smartpulse/cdc/testing';
import type { Clock } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import type { ChangeVersion } from '@smartpulse/cdc';
import type { EntityManager } from 'typeorm';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { StartStock, StockDatabase } from './stock-database.js';

function transaction(manager: EntityManager): ContractTransaction {
  const where = (key: object): string =>
    Object.keys(key)
      .map((column, index) => `${column} = @${index}`)
      .join(' AND ');
  return {
    upsert: async (table, row) => {
      const { id, region, number } = row;
      const key = table === STOCK_TABLE ? { id } : { region, number };
      const columns = Object.keys(row);
      const values = columns.map((column) => row[column]);
      const found = await manager.query<unknown[]>(
        `SELECT 1 AS one FROM ${table} WHERE ${where(key)}`,
        Object.values(key),
      );
      if (found.length === 0) {
        const places = columns.map((_, index) => `@${index}`);
        await manager.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`, values);
        return;
      }
      const set = columns.flatMap((column, index) => (column in key ? [] : [`${column} = @${index}`]));
      const same = columns.flatMap((column, index) => (column in key ? [`${column} = @${index}`] : []));
      await manager.query(`UPDATE ${table} SET ${set.join(', ')} WHERE ${same.join(' AND ')}`, values);
    },
    delete: async (table, primaryKey) => {
      await manager.query(`DELETE FROM ${table} WHERE ${where(primaryKey)}`, Object.values(primaryKey));
    },
    rekey: async (table, primaryKey, to) => {
      const [column = ''] = Object.keys(primaryKey);
      await manager.query(`UPDATE ${table} SET ${column} = @1 WHERE ${column} = @0`, [primaryKey[column], to[column]]);
    },
  };
}

class Undone extends Error {}

async function sourceHarness(
  { start, cleanUp }: StockSuite,
  isolation: 'auto' | 'read-committed',
): Promise<ChangeSourceHarness> {
  const shop = await start();
  const { app } = shop;
  return {
    source: shop.replica({ isolation }).source,
    commit: (work) => app.transaction(async (manager) => work(transaction(manager))),
    commitWithSavepoint: (kept, undone) =>
      app.transaction(async (manager) => {
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
      app.transaction((manager) => withChangeContext(manager, origin, async (tagged) => work(transaction(tagged)))),
    cleanUp: () => cleanUp?.(shop) ?? Promise.resolve(),
    truncate: async (table) => {
      await app.query(`TRUNCATE TABLE ${table}`);
    },
    disable: async (table) => {
      await app.query(`ALTER TABLE ${table} DISABLE CHANGE_TRACKING`);
    },
    enable: async (table) => {
      await app.query(`ALTER TABLE ${table} ENABLE CHANGE_TRACKING`);
    },
    close: () => shop.stop(),
  };
}

/** What the suite runs on. */
export interface StockSuite {
  readonly start: StartStock;
  /** Forgets all changes of a database up to now; left out where nobody can bring that about. */
  readonly cleanUp?: (shop: StockDatabase) => Promise<void>;
  /** The clock of leases, and how time passes by it. */
  readonly time: () => {
    readonly clock: Clock;
    readonly elapse: (ms: number) => Promise<unknown>;
    /** Nobody waits for the clock any more. */
    readonly assertQuiet?: () => void;
  };
}

/** One after the other, in the order of the calls. */
function inTurn<TArgument, TResult>(
  work: (argument: TArgument) => Promise<TResult>,
): (argument: TArgument) => Promise<TResult> {
  let last: Promise<unknown> = Promise.resolve();
  return (argument) => {
    const next = last.then(() => work(argument));
    last = next;
    return next;
  };
}

/** Nobody else writes meanwhile, so the version afterwards is that of the commit. */
async function writeStock({ app }: StockDatabase, value: number, { epoch }: ChangeVersion): Promise<ChangeVersion> {
  await app.transaction((manager) =>
    Promise.resolve(transaction(manager).upsert(STOCK_TABLE, { id: 1n, level: BigInt(value), note: null })),
  );
  const [row] = await app.query<{ version: string }[]>('SELECT CHANGE_TRACKING_CURRENT_VERSION() AS version');
  return { epoch, version: BigInt(row?.version ?? 0) };
}

/** A pool that is told when nothing is on its way, and that can be cut off. */
class WatchedPool extends SqlServerPool {
  cutOff = false;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(readonly pool: SqlServerPool) {
    super();
  }

  override async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    this.#running += 1;
    try {
      if (this.cutOff) {
        throw new Error('cut off');
      }
      return await this.pool.run(statement, signal);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) {
        this.#idle.splice(0).forEach((idle) => idle());
      }
    }
  }

  async idle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#running > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      await this.idle();
    }
  }

  override close(): Promise<void> {
    return this.pool.close();
  }
}

const TTL_MS = 3_000;

/** Every port of change capture under its contract. */
export function contractsSuite(suite: StockSuite): void {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

  const ALL = {
    savepoints: true,
    origins: true,
    reenable: true,
    paddedText: true,
    cleanUp: suite.cleanUp !== undefined,
  };
  runContract(
    { describe, it },
    'ChangeSource: SQL Server, snapshots',
    changeSourceContract(() => sourceHarness(suite, 'auto'), ALL),
  );
  runContract(
    { describe, it },
    'ChangeSource: SQL Server, committed rows',
    changeSourceContract(() => sourceHarness(suite, 'read-committed'), ALL),
  );

  runContract(
    { describe, it },
    'CheckpointStore: SQL Server',
    checkpointStoreContract(
      async () => {
        const shop = await suite.start();
        return {
          store: shop.replica().checkpoints,
          reopen: async () => shop.replica().checkpoints,
          close: () => shop.stop(),
        };
      },
      { durable: true },
    ),
  );

  runContract(
    { describe, it },
    'Leadership: SQL Server',
    leadershipContract(
      async () => {
        const { clock, elapse, assertQuiet } = suite.time();
        const shop = await suite.start({ clock });
        const pools = [shop.pool(), shop.pool()].map((pool) => new WatchedPool(pool));
        const [first, second] = pools.map((pool) =>
          shop.replica({ pool, leaseTtlMs: TTL_MS, requestTimeoutMs: 1_000 }),
        );
        assert.ok(first !== undefined && second !== undefined);
        const pass = async (): Promise<void> => {
          // In steps, as statements need time of another kind.
          for (let step = 0; step < 24; step++) {
            await elapse(TTL_MS / 24);
            await Promise.all(pools.map((pool) => pool.idle()));
          }
        };
        return {
          first: first.leadership,
          second: second.leadership,
          lose: async () => {
            const [pool] = pools;
            assert.ok(pool);
            pool.cutOff = true;
            await pass();
            pool.cutOff = false;
          },
          pass,
          close: async () => {
            await shop.stop();
            await Promise.all(pools.map((pool) => pool.close()));
            assertQuiet?.();
          },
        };
      },
      { expires: true, renews: true },
    ),
  );

  for (const isolation of ['snapshot', 'statement'] as const) {
    runContract(
      { describe, it },
      `StampedReader: SQL Server, ${isolation}`,
      stampedReaderContract<EntityManager>(async () => {
        const shop = await suite.start();
        const { stampedReader } = shop.replica({}, { isolation });
        assert.ok(stampedReader);
        return {
          reader: stampedReader,
          write: inTurn(async (value) => writeStock(shop, value, await stampedReader.current())),
          value: async (manager) => {
            const [row] = await manager.query<{ level: number }[]>(`SELECT level FROM ${STOCK_TABLE} WHERE id = 1`);
            return row?.level ?? 0;
          },
          close: () => shop.stop(),
        };
      }, isolation),
    );
  }
}
