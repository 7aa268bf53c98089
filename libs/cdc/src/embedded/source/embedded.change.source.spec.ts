import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { EmbeddedDatabase } from '../embedded.database.js';
import { EmbeddedTurnExpiredError } from '../embedded.errors.js';
import { EmbeddedChangeSource } from './embedded.change.source.js';

const ROWS = 5_000;

async function start() {
  const clock = new VirtualClock();
  const database = EmbeddedDatabase.open({ name: 'db', clock });
  const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
  await dataSource.query('CREATE TABLE item (id INTEGER PRIMARY KEY, level INTEGER)');
  await database.enableTracking(['dbo.item']);
  await dataSource.query(
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO item SELECT i, 0 FROM n',
    [ROWS],
  );
  const abort = new AbortController();
  const source = new EmbeddedChangeSource(database);
  const page = () => source.readPage({ table: 'dbo.item', after: 0n, cursor: null, limit: ROWS, signal: abort.signal });
  const chunk = () => source.readChunk({ table: 'dbo.item', afterKey: null, limit: ROWS, signal: abort.signal });
  const close = async (): Promise<void> => {
    await dataSource.destroy();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  };
  return { clock, database, dataSource, abort, page, chunk, close };
}

/** How often the event loop turned until `work` was done. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const beat = (): void => {
    turns += 1;
    if (running) {
      setImmediate(beat);
    }
  };
  setImmediate(beat);
  await work;
  running = false;
  return turns;
}

describe('EmbeddedChangeSource', () => {
  it('lets the event loop turn while it reads a large page or chunk', async () => {
    const { page, chunk, close } = await start();
    expect(await turnsOf(page())).toBeGreaterThanOrEqual(15);
    expect(await turnsOf(chunk())).toBeGreaterThanOrEqual(15);
    await close();
  });

  it('reads a large page and chunk of one snapshot: writers wait for its end', async () => {
    const { database, dataSource, page, chunk, close } = await start();
    const before = database.currentVersion().version;
    const read = page();
    const written = dataSource.query('UPDATE item SET level = 1');
    const { changes, cursors, upperVersion } = await read;
    await written;
    expect(upperVersion).toBe(before);
    expect([changes.length, cursors.length]).toEqual([ROWS, ROWS]);
    expect(new Set(changes.map(({ row }) => row?.['level']))).toEqual(new Set([0]));

    const scan = chunk();
    const again = dataSource.query('UPDATE item SET level = 2');
    const { rows } = await scan;
    await again;
    expect(new Set(rows.map(({ row }) => row?.['level']))).toEqual(new Set([1]));
    expect(new Set(rows.map(({ primaryKey }) => primaryKey['id'])).size).toBe(ROWS);
    await close();
  });

  it('gives its turn back when it is called off in the middle, or took too long', async () => {
    const { clock, dataSource, abort, page, chunk, close } = await start();
    const late = page().catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    // Fires the deadline of the turn and runs on between the steps.
    const passed = clock.until(() => false, 30_000).catch((error: unknown) => error);
    expect(await late).toBeInstanceOf(EmbeddedTurnExpiredError);
    await passed;

    const reason = new Error('enough');
    const read = chunk();
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort(reason);
    await expect(read).rejects.toBe(reason);
    expect(await dataSource.query('SELECT count(*) AS n FROM item')).toEqual([{ n: ROWS }]);
    await close();
  });
});
