import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { EmbeddedDatabase } from '../embedded.database.js';
import { EmbeddedDatabaseClosedError } from '../embedded.errors.js';

const RETENTION_MS = 60_000;
const open: EmbeddedDatabase[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((database) => database.close()));
});

async function start(options: { retentionMs?: number | false } = {}) {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'db', clock, retentionMs: RETENTION_MS, ...options });
  open.push(database);
  const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
  await dataSource.query('CREATE TABLE item (id INTEGER PRIMARY KEY)');
  await database.enableTracking(['dbo.item']);
  let last = 0;
  const insert = async (rows: number): Promise<void> => {
    await dataSource.query(
      'WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO item SELECT i FROM n',
      [last + 1, last + rows],
    );
    last += rows;
  };
  const count = (table: string): Promise<number> =>
    database.read('count', ({ connection }) => Number(connection.get(`SELECT count(*) AS n FROM ${table}`)?.['n']));
  return { clock, database, insert, count };
}

describe('Clean-up of the change log', () => {
  it('keeps it at what is younger than the retention, however much each transaction writes', async () => {
    const { clock, insert, count } = await start();
    const sizes: number[] = [];
    for (let round = 0; round < 4; round++) {
      for (let commit = 0; commit < 64; commit++) {
        await insert(100);
      }
      // The expired rows of the round are more than a step of the clean-up takes.
      sizes.push(await count('smartpulse_change_log'));
      await clock.advance(RETENTION_MS + 1);
    }
    await insert(1);

    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * 64 * 100);
    expect(sizes.at(-1)).toBe(sizes.at(-2));
    expect(await count('smartpulse_commit')).toBeLessThanOrEqual(2 * 64);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets the event loop turn between its steps', async () => {
    const { database, insert } = await start({ retentionMs: false });
    await insert(30_000);
    let turns = 0;
    let finished = false;
    const beat = (): void => {
      turns += 1;
      if (!finished) {
        setImmediate(beat);
      }
    };
    setImmediate(beat);
    const report = await database.cleanUp({ retentionMs: 0 });
    finished = true;

    expect(report.deleted).toBe(30_000);
    expect(turns).toBeGreaterThanOrEqual(10);
  });

  it('forgets nothing by itself where that is switched off', async () => {
    const { clock, insert, count } = await start({ retentionMs: false });
    for (let commit = 0; commit < 200; commit++) {
      await insert(1);
    }
    await clock.advance(1e12);
    await insert(1);
    expect(await count('smartpulse_change_log')).toBe(201);
  });

  it('refuses a retention that is no time, before it forgets everything', async () => {
    const { database, insert, count } = await start();
    await insert(1);
    for (const retentionMs of [Number.NaN, -1, 0.5]) {
      await expect(database.cleanUp({ retentionMs })).rejects.toThrow(/retentionMs.*whole number of milliseconds/);
    }
    expect(await count('smartpulse_change_log')).toBe(1);
  });

  it('ends with the database that is closed meanwhile', async () => {
    const { clock, database, insert } = await start({ retentionMs: false });
    await insert(30_000);
    const report = database.cleanUp({ retentionMs: 0 }).catch((error: unknown) => error);
    const closed = database.close();
    expect([await report, await closed][0]).toBeInstanceOf(EmbeddedDatabaseClosedError);
    expect(clock.pendingTimers).toBe(0);
  });
});
