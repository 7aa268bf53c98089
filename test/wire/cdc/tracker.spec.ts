import { Logger } from '@nestjs/common';
import { TableNotTrackedError } from '@smartpulse/cdc';
import { SecondaryReplicaError, SqlServerBookkeepingError, SqlServerConnectionError } from '@smartpulse/cdc/sql-server';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { caughtUp, follow } from '../../support/sql-server/suites/follower.js';
import { FaultScript } from '../../support/sql-server/wire/faults/fault-script.js';
import { StockServer } from './stock-server.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const TABLE = 'dbo.stock';
let shop: StockServer;

beforeEach(async () => {
  shop = await StockServer.start();
});
afterEach(() => shop.stop());

const app = (work: Parameters<typeof follow>[1]): ReturnType<typeof follow> => follow(shop, work);

const write = (from: number, to: number, level: number): void => {
  shop.database.write((tx) => {
    for (let id = from; id <= to; id++) {
      tx.upsert(TABLE, { id: BigInt(id), level: BigInt(level), note: null });
    }
  });
};

describe('a Nest app on SQL Server change tracking', () => {
  it('ends with the rows of the table, whatever breaks on the way: deadlocks, lost connections, a server that is down', async () => {
    await app(async (follower, registry) => {
      await caughtUp(shop, registry);
      for (let round = 1; round <= 12; round++) {
        write((round * 7) % 30, ((round * 7) % 30) + 9, round);
        if (round % 4 === 1) {
          shop.engine.faults.deadlock({ matches: /CHANGETABLE/, times: 1 });
        }
        if (round % 4 === 2) {
          shop.server.cut();
        }
        if (round === 7) {
          await shop.server.goDown();
          write(50, 55, round);
          await shop.server.listenAgain();
        }
        registry.pollNow(TABLE);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await caughtUp(shop, registry);
      const rows = new Map<unknown, unknown>();
      for (const { operation, primaryKey, row } of follower.changes) {
        if (operation === 'delete') {
          rows.delete(primaryKey['id']);
        } else {
          rows.set(primaryKey['id'], row?.['level']);
        }
      }
      const table = shop.database.rows(TABLE).map(({ id, level }) => [Number(id), Number(level)] as const);
      expect([...rows].sort(([a], [b]) => Number(a) - Number(b))).toEqual(table.toSorted(([a], [b]) => a - b));
    });
  });

  it('reads the table anew after a truncate that nothing else followed, and after a restore under a higher epoch', async () => {
    write(1, 5, 1);
    await app(async (_, registry) => {
      await caughtUp(shop, registry);
      const epoch = registry.get(TABLE, 'follower')?.snapshot().epoch ?? 0n;
      const backup = shop.database.backup();
      write(6, 9, 2);
      await caughtUp(shop, registry);
      await shop.app.query(`TRUNCATE TABLE ${TABLE}`);
      const resyncs = () => registry.get(TABLE, 'follower')?.snapshot().counts.resyncs ?? {};
      await expect.poll(() => resyncs().tableTruncated, { timeout: 20_000 }).toBe(1);
      await caughtUp(shop, registry);
      shop.database.restore(backup, { keepSessions: true });
      await expect.poll(() => Object.keys(resyncs()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
      await caughtUp(shop, registry);
      expect(registry.get(TABLE, 'follower')?.snapshot().epoch).toBeGreaterThan(epoch);
    });
  });

  it('reads the table anew after a restore that the counter has grown out of again: the recovery fork is another one', async () => {
    write(1, 5, 1);
    const changes = await app(async (_, registry) => {
      await caughtUp(shop, registry);
      const backup = shop.database.backup();
      for (let round = 2; round < 6; round++) {
        write(6, 9, round);
      }
      await caughtUp(shop, registry);
      const position = shop.database.version;
      shop.database.restore(backup, { keepSessions: true });
      for (let round = 6; shop.database.version <= position; round++) {
        write(20, 20 + round, round);
      }
      const tracker = registry.get(TABLE, 'follower');
      await expect.poll(() => tracker?.snapshot().counts.resyncs.epochChanged, { timeout: 20_000 }).toBe(1);
      await caughtUp(shop, registry);
    });
    const anew = changes.slice(changes.findLastIndex(({ row }) => row?.['id'] === 9) + 1);

    expect(new Set(anew.map(({ primaryKey }) => Number(primaryKey['id'])))).toEqual(
      new Set(shop.database.rows(TABLE).map(({ id }) => Number(id))),
    );
  });

  it('reads the table anew after a clean-up between the first answer of a page and its rows: the snapshot that they come from began too late', async () => {
    write(1, 5, 1);
    const changes = await app(async (_, registry) => {
      await caughtUp(shop, registry);
      write(6, 6, 2);
      write(7, 7, 2);
      const gone = shop.database.version;
      write(8, 8, 2);
      let cleaned = false;
      shop.engine.faults.add({
        matches: /CHANGETABLE/,
        before: () => {
          shop.database.cleanUp(gone);
          cleaned = true;
        },
      });
      await caughtUp(shop, registry);
      expect(cleaned).toBe(true);
      expect(registry.get(TABLE, 'follower')?.snapshot().counts.resyncs.checkpointExpired).toBe(1);
    });

    expect(new Set(changes.map(({ primaryKey }) => Number(primaryKey['id'])))).toEqual(
      new Set([1, 2, 3, 4, 5, 6, 7, 8]),
    );
  });

  it('says that a table is not tracked any more, as something that somebody must change', async () => {
    const { source } = shop.replica();
    await source.describe(TABLE);
    await shop.app.query(`ALTER TABLE ${TABLE} DISABLE CHANGE_TRACKING`);
    const error: unknown = await source
      .readPage({ table: TABLE, after: 0n, cursor: null, limit: 1, signal: new AbortController().signal })
      .catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(TableNotTrackedError);
    expect(source.failureOf(error)).toBe('configuration');
  });
});

describe('the epoch of a database on SQL Server', () => {
  it('goes up once with every restore, whoever looks, also when one backup is restored twice', async () => {
    const clock = new VirtualClock();
    const restored = await StockServer.start({ clock });
    try {
      const [first, second] = [restored.replica().source, restored.replica().source];
      const epochs = async (): Promise<readonly bigint[]> =>
        (await Promise.all([first.state([TABLE]), second.state([]), first.state([])])).map(({ epoch }) => epoch);
      const [before = 0n] = await epochs();
      const backup = restored.database.backup();
      const seen = [before];
      for (let times = 0; times < 3; times++) {
        await clock.advance(10_000);
        restored.database.restore(backup, { keepSessions: true });
        const after = new Set(await epochs());
        expect(after.size).toBe(1);
        seen.push(...after, ...new Set(await epochs()));
      }

      expect(seen.map((epoch) => epoch - before)).toEqual([0n, 10n, 10n, 20n, 20n, 30n, 30n]);
    } finally {
      await restored.stop();
    }
  });

  it('stays where the user may not see the recovery fork: the counter and a copy outside are left as signs', async () => {
    await shop.replica().source.state([TABLE]);
    shop.engine.addLogin('cdc', 'pass');
    (['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const).forEach((right) =>
      shop.database.grants.grant('cdc', right, { schema: 'smartpulse' }),
    );
    const { source } = shop.replica({ url: shop.url.replace('sa:any', 'cdc:pass'), createBookkeeping: false });
    const { epoch } = await source.state([]);
    shop.database.restore(shop.database.backup(), { keepSessions: true });

    expect((await source.state([])).epoch).toBe(epoch);
  });
});

describe('the tables of an earlier version', () => {
  it('are said to be that, get what came since from replicas that start at once, and keep what they hold', async () => {
    const { source } = shop.replica();
    const { epoch } = await source.state([TABLE]);
    await shop.app.query('ALTER TABLE smartpulse.cdc_epoch DROP COLUMN recovery_fork');
    const careful = shop.replica({ createBookkeeping: false }).source;
    const error: unknown = await careful.state([TABLE]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SqlServerBookkeepingError);
    expect(careful.failureOf(error)).toBe('configuration');

    const replicas = [shop.replica(), shop.replica(), shop.replica()];
    const states = await Promise.all(replicas.map((replica) => replica.source.state([TABLE])));
    expect(states.map((state) => state.epoch)).toEqual([epoch, epoch, epoch]);
    expect((await careful.state([TABLE])).epoch).toBe(epoch);
  });
});

describe('a statement on SQL Server', () => {
  it('is cancelled on the server when its caller gives up, and the connection goes on', async () => {
    const pool = shop.pool();
    const runner = shop.app.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`UPDATE ${TABLE} SET level = 1`);
    await runner.query(`INSERT INTO ${TABLE} (id, level) VALUES (1, 1)`);
    const giveUp = new AbortController();
    const waiting = pool.run({ name: 'test', sql: `SELECT level FROM ${TABLE}`, parameters: [] }, giveUp.signal);
    await expect.poll(() => shop.engine.waitingSessions).toBe(1);
    giveUp.abort(new Error('the caller gave up'));

    await expect(waiting).rejects.toThrow('the caller gave up');
    await expect.poll(() => shop.engine.waitingSessions).toBe(0);
    await runner.rollbackTransaction();
    await runner.release();
    expect(await pool.run({ name: 'test', sql: 'SELECT 1 AS one', parameters: [] })).toEqual([[[1]]]);
    await pool.close();
  });

  it('goes to where the database is after a failover, instead of asking its old primary for ever', async () => {
    const { source } = shop.replica();
    await source.state([TABLE]);
    shop.database.role = 'readable secondary';
    const error: unknown = await source.state([TABLE]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SecondaryReplicaError);
    expect(source.failureOf(error)).toBe('configuration');
    const before = shop.server.acceptedConnections;
    shop.database.role = 'primary';
    await source.state([TABLE]);
    expect(shop.server.acceptedConnections).toBeGreaterThan(before);
  });

  it('leaves the pool of an old primary once, however many statements fail there: the new one stays open', async () => {
    const faults = new FaultScript();
    const moved = await StockServer.start({ faults });
    const pool = moved.pool();
    const ask = (sql: string): Promise<unknown> => pool.run({ name: 'test', sql, parameters: [] });
    let open = (): void => {};
    const late = new Promise<void>((resolve) => {
      open = resolve;
    });
    try {
      moved.engine.faults.failWith(976, 14, 'The target database is in an availability group.', {
        matches: /old/,
        times: 2,
      });
      faults.onRequest('late', { kind: 'wait', when: 'reply', until: () => late });
      const second = ask('SELECT 2 AS old_late');
      await expect(ask('SELECT 1 AS old')).rejects.toThrow();
      expect(await ask('SELECT 3 AS new')).toEqual([[[3]]]);
      open();
      await expect(second).rejects.toThrow();
      const before = moved.server.acceptedConnections;
      expect(await ask('SELECT 4 AS new')).toEqual([[[4]]]);
      expect(moved.server.acceptedConnections).toBe(before);
      expect(faults.pending).toBe(0);
    } finally {
      await pool.close();
      await moved.stop();
    }
  });

  it('has the number of a login that failed, and of a database that cannot be opened', async () => {
    const wrong = shop.replica({ url: shop.url.replace('/shop', '/nowhere') });
    const error: unknown = await wrong.source.state([TABLE]).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(SqlServerConnectionError);
    expect(error).toMatchObject({ problem: 'databaseNotOpened', failure: { class: 'connection', number: 4060 } });
    expect(String(error)).not.toContain('any@');
  });
});

describe('a stamped reader on SQL Server', () => {
  it('says what to do where the database allows no snapshots, and reads where it needs none', async () => {
    shop.database.allowSnapshotIsolation = false;
    const refused: unknown = await shop
      .replica()
      .stampedReader?.read(async () => 7)
      .catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ statement: 'readStamp', failure: { class: 'snapshotUnavailable', number: 3952 } });
    expect(String(refused)).toMatch(
      /ALLOW_SNAPSHOT_ISOLATION ON, or set isolation to "auto", of a stamped reader to "statement"/,
    );

    const { stampedReader } = shop.replica({}, { isolation: 'statement' });
    expect((await stampedReader?.read(async () => 7))?.value).toBe(7);
  });

  it('passes on why a read failed, also when the connection is gone before it can be rolled back', async () => {
    const { stampedReader } = shop.replica();
    const planned = new Error('planned');
    const read = stampedReader?.read(async () => {
      shop.server.cut();
      await expect.poll(() => shop.server.openConnections).toBe(0);
      throw planned;
    });
    await expect(read).rejects.toBe(planned);
    expect((await stampedReader?.read(async () => 7))?.value).toBe(7);
  });
});

describe('leases on SQL Server', () => {
  it('are spread over the replicas, also over one that comes later, and go to the rest when one leaves', async () => {
    const clock = new VirtualClock();
    const spread = await StockServer.start({ clock });
    try {
      const resources = ['a', 'b', 'c', 'd', 'e'];
      const replicas = [spread.replica(), spread.replica()];
      const leases = new Map<string, number>();
      const round = async (index: number): Promise<void> => {
        for (const resource of resources) {
          const lease = await replicas[index]?.leadership.acquire(resource);
          if (lease !== undefined) {
            leases.set(resource, index);
            lease.signal.addEventListener('abort', () => leases.get(resource) === index && leases.delete(resource));
          }
        }
      };
      const heldBy = (index: number): number => [...leases.values()].filter((one) => one === index).length;
      await round(0);
      expect([heldBy(0), heldBy(1)]).toEqual([5, 0]);
      for (let turn = 0; turn < 8; turn++) {
        await round(1);
        await clock.advance(10_000);
        await expect.poll(() => spread.engine.sessions).toBeGreaterThan(0);
        await round(0);
      }
      expect([heldBy(0), heldBy(1)]).toEqual([3, 2]);
      await replicas[0]?.source.close();
      for (let turn = 0; turn < 8 && heldBy(1) < 5; turn++) {
        await round(1);
        await clock.advance(10_000);
      }
      expect(heldBy(1)).toBe(5);
    } finally {
      await spread.stop();
    }
  });
});
