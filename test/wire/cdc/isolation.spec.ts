import { sqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { DataSource, type EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultPlan, type RequestFault, type RequestPoint } from '../../support/sql-server/wire/faults/fault-plan.js';
import { StockServer } from './stock-server.js';

const LOWER = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED';
const READ = 'SELECT level FROM dbo.stock';

/** Notes what is sent on the one connection of the pool; the first text that is to be refused is. */
class Sent extends FaultPlan {
  texts: string[] = [];
  refused: string | undefined;

  override atRequest({ kind, sql, isolation }: RequestPoint): RequestFault | undefined {
    this.texts.push(kind === 'batch' || kind === 'call' ? sql : `${kind} ${isolation ?? ''}`.trim());
    if (sql === '' || sql !== this.refused) {
      return undefined;
    }
    this.refused = undefined;
    return { kind: 'error', message: { number: 1222, class: 16, state: 1, line: 1, message: 'busy' } };
  }
}

let sent: Sent;
let shop: StockServer;
let pool: DataSource;

beforeEach(async () => {
  sent = new Sent();
  shop = await StockServer.start({ faults: sent });
  pool = await new DataSource(
    sqlServerDataSource({ name: 'one', url: shop.url, entities: [], poolSize: 1 }),
  ).initialize();
  sent.texts = [];
});
afterEach(async () => {
  await pool.destroy();
  await shop.stop();
});

const save = (manager: EntityManager) => manager.query('UPDATE dbo.stock SET level = 1');

describe('a connection that a transaction of another isolation level had', () => {
  it('is back at the default for the first statement that borrows it next, and pays for that once', async () => {
    await pool.transaction('SERIALIZABLE', save);
    await pool.query(READ);
    await pool.query(READ);

    expect(sent.texts).toEqual(['begin serializable', 'UPDATE dbo.stock SET level = 1', 'commit', LOWER, READ, READ]);
  });

  it('costs nothing where transactions follow one another, each says its level', async () => {
    await pool.transaction('SERIALIZABLE', save);
    await pool.transaction('SERIALIZABLE', save);
    await pool.transaction(save);
    await pool.query(READ);

    expect(sent.texts).not.toContain(LOWER);
  });

  it('is so on the server, too: a snapshot that was left reads no snapshot any more', async () => {
    await pool.transaction('SNAPSHOT', (manager) => manager.query(READ));
    // A statement under snapshot would fail with 3952 now.
    shop.database.allowSnapshotIsolation = false;
    await expect(pool.query(READ)).resolves.toEqual([]);
  });

  it('is so after a transaction that the server itself ended, and one that failed', async () => {
    shop.engine.faults.deadlock({ matches: /^UPDATE/ });
    await expect(pool.transaction('SERIALIZABLE', save)).rejects.toMatchObject({ driverError: { number: 1205 } });
    await pool.query(READ);
    expect(sent.texts.slice(-2)).toEqual([LOWER, READ]);

    const planned = new Error('planned');
    await expect(pool.transaction('REPEATABLE READ', () => Promise.reject(planned))).rejects.toBe(planned);
    await pool.query(READ);
    expect(sent.texts.slice(-3)).toEqual(['rollback', LOWER, READ]);
  });

  it('is lowered by the next statement where this one could not', async () => {
    await pool.transaction('SERIALIZABLE', save);
    sent.refused = LOWER;
    await expect(pool.query(READ)).rejects.toMatchObject({ driverError: { number: 1222 } });
    await pool.query(READ);
    expect(sent.texts.slice(-3)).toEqual([LOWER, LOWER, READ]);
  });
});

describe('a connection on which the poll of many tables failed before its end', () => {
  it('has the default settings again for whatever borrows it next, and pays for that once', async () => {
    const capture = shop.pool();
    const sql = `SET XACT_ABORT ON;
SET LOCK_TIMEOUT 5000;
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
SELECT level FROM dbo.stock;
SET LOCK_TIMEOUT -1;`;
    const poll = { name: 'poll', sql, parameters: [], isBatch: true };
    const settings = { name: 'look', sql: 'SELECT @@LOCK_TIMEOUT AS waits', parameters: [] };
    try {
      expect(await capture.run(settings)).toEqual([[[-1]]]);
      shop.engine.faults.deadlock({ matches: /FROM dbo\.stock/ });
      await expect(capture.run(poll)).rejects.toMatchObject({ number: 1205 });
      // A statement under snapshot would fail with 3952 now.
      shop.database.allowSnapshotIsolation = false;
      sent.texts = [];
      expect(await capture.run(settings)).toEqual([[[-1]]]);
      expect(await capture.run({ ...poll, sql: READ })).toEqual([[]]);
      expect(await capture.run(settings)).toEqual([[[-1]]]);
      expect(sent.texts).toEqual([expect.stringMatching(/^SET XACT_ABORT OFF;/), settings.sql, READ, settings.sql]);
    } finally {
      await capture.close();
    }
  });
});
