import { Logger } from '@nestjs/common';
import { CdcHealthProbe, type CdcRegistry, TableNotFoundError } from '@smartpulse/cdc';
import { SecondaryReplicaError, TableNotPermittedError } from '@smartpulse/cdc/sql-server';
import { ENTRY_TABLE, STOCK_TABLE } from '@smartpulse/cdc/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { caughtUp, type Follower, follow, resyncsOf } from '../../support/sql-server/suites/follower.js';
import { StockServer } from './stock-server.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const WAIT = { timeout: 20_000, interval: 10 };
const STOCK = { schema: 'dbo', object: 'stock' };
let shop: StockServer;

beforeEach(async () => {
  shop = await StockServer.start();
});
afterEach(() => shop.stop());

const write = (level: number, ...ids: readonly number[]): void => {
  shop.database.write((tx) => {
    for (const id of ids) {
      tx.upsert(STOCK_TABLE, { id: BigInt(id), level: BigInt(level), note: null });
    }
  });
};
const tracker = (registry: CdcRegistry) => {
  const found = registry.get(STOCK_TABLE, 'follower');
  if (found === undefined) {
    throw new Error('The follower has no tracker.');
  }
  return found;
};

/** The server has said what is wrong: the tracker, its health and its patience tell of it. */
async function waitsFor(registry: CdcRegistry, error: { readonly name: string }): Promise<void> {
  await expect.poll(() => tracker(registry).snapshot().failure, WAIT).toBe('configuration');
  const { state } = tracker(registry);
  expect(tracker(registry).snapshot().lastError).toBe(error.name);
  expect(state.kind === 'failing' ? state.retryInMs : 0).toBeGreaterThanOrEqual(30_000);
  const health = new CdcHealthProbe(registry).check();
  expect(health.status).toBe('degraded');
  expect(Object.values(health.details ?? {})).toEqual([expect.stringContaining(error.name)]);
}

/** It goes on when it is asked to, in the same process and before its wait of half a minute or more is over, and hears what came meanwhile. */
async function goesOn(registry: CdcRegistry, follower: Follower): Promise<void> {
  registry.pollNow(STOCK_TABLE);
  await caughtUp(shop, registry);
  expect(tracker(registry).snapshot().failure).toBeNull();
  expect(new CdcHealthProbe(registry).check().status).toBe('up');
  const rows = new Map(follower.changes.map(({ primaryKey, row }) => [Number(primaryKey['id']), row?.['level']]));
  expect(rows).toEqual(new Map(shop.database.rows(STOCK_TABLE).map(({ id, level }) => [Number(id), Number(level)])));
}

describe('a tracker whose server refuses what somebody must mend', () => {
  it('A2: tells of a database that does not track any more, and reads all anew in the same process once it does', async () => {
    write(1, 1, 2, 3);
    await follow(shop, async (follower, registry) => {
      await caughtUp(shop, registry);
      const statements = (what: string): readonly string[] =>
        [STOCK_TABLE, ENTRY_TABLE].map((table) => `ALTER TABLE ${table} ${what}`);
      for (const sql of [
        ...statements('DISABLE CHANGE_TRACKING'),
        'ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF',
      ]) {
        await shop.app.query(sql);
      }
      await expect.poll(() => tracker(registry).snapshot().failure, WAIT).toBe('configuration');
      write(2, 3, 4);
      for (const sql of [
        'ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)',
        ...statements('ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)'),
      ]) {
        await shop.app.query(sql);
      }
      await goesOn(registry, follower);
    });
  });

  it('A3: tells of the right that it lacks, and goes on when it is granted again', async () => {
    await shop.replica().source.state([]);
    shop.engine.addLogin('cdc', 'pass');
    const { grants } = shop.database;
    (['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const).forEach((right) =>
      grants.grant('cdc', right, { schema: 'smartpulse' }),
    );
    grants.grant('cdc', 'SELECT', STOCK);
    grants.grant('cdc', 'VIEW CHANGE TRACKING', STOCK);
    write(1, 1, 2, 3);
    const login = { url: shop.url.replace('sa:any', 'cdc:pass'), createBookkeeping: false };
    await follow(
      shop,
      async (follower, registry) => {
        await caughtUp(shop, registry);
        grants.revoke('cdc', 'VIEW CHANGE TRACKING', STOCK);
        write(2, 3, 4);
        await waitsFor(registry, TableNotPermittedError);
        grants.grant('cdc', 'VIEW CHANGE TRACKING', STOCK);
        await goesOn(registry, follower);
        expect(resyncsOf(registry)).toEqual({ firstStart: 1 });
      },
      login,
    );
  });

  it('A3: tells of a table that is not there any more, and reads the one that is made in its place', async () => {
    write(1, 1, 2, 3);
    await follow(shop, async (follower, registry) => {
      await caughtUp(shop, registry);
      await shop.app.query(`DROP TABLE ${STOCK_TABLE}`);
      await waitsFor(registry, TableNotFoundError);
      await shop.app.query(
        `CREATE TABLE ${STOCK_TABLE} (id bigint NOT NULL PRIMARY KEY, level int NOT NULL, note nvarchar(200) NULL)`,
      );
      await shop.app.query(`ALTER TABLE ${STOCK_TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`);
      write(2, 1, 2, 3, 4);
      await goesOn(registry, follower);
      expect(resyncsOf(registry)).toEqual({ firstStart: 1, tableReplaced: 1 });
    });
  });

  it('A14: does not hammer a secondary that it has come to, and goes on by new connections when the primary is back', async () => {
    write(1, 1, 2, 3);
    await follow(shop, async (follower, registry) => {
      await caughtUp(shop, registry);
      shop.database.role = 'readable secondary';
      await waitsFor(registry, SecondaryReplicaError);
      const { errors } = tracker(registry).snapshot().counts;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(tracker(registry).snapshot().counts.errors).toBe(errors);
      shop.database.role = 'primary';
      write(2, 3, 4);
      await goesOn(registry, follower);
    });
  });
});
