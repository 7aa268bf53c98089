import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RowChange } from '../change/row-change.js';
import { CdcRegistry } from '../registry/cdc.registry.js';
import { type AcceptOutcome, ChangeSink, type FeedEvent, type HandOff } from '../sink/change.sink.js';
import { TableFold } from '../testing/table-fold.js';
import type { TrackerTuning } from '../tracker/tracker.options.js';
import { embeddedCdc } from './embedded-cdc.js';
import { EmbeddedDatabase } from './embedded.database.js';

const TABLE = 'dbo.stock';
const RETENTION_MS = 60_000;
let directory: string;
let clock: VirtualClock;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'smartpulse-cdc-'));
  clock = new VirtualClock();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  expect(clock.pendingTimers).toBe(0);
});

/** A reader that keeps the table, and outlives the processes that feed it. */
class Reader extends ChangeSink {
  override readonly instance = 'reader';
  readonly events: FeedEvent[] = [];
  readonly #fold = new TableFold(({ id }) => String(id));
  onPage: () => void = () => {};

  get rows(): readonly (readonly [number, unknown])[] {
    return [...this.#fold.rows.values()].map(({ id, level }) => [Number(id), level] as const).sort(([a], [b]) => a - b);
  }

  get resyncs(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'resyncStarted' ? [event.reason] : []));
  }

  override async accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    this.#fold.accept(changes, handOff);
    this.onPage();
    return changes.map(() => ({ status: 'accepted' }));
  }

  override async announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    this.#fold.announce(event, handOff);
    this.events.push(event);
  }
}

interface Life {
  readonly database: EmbeddedDatabase;
  readonly sql: (text: string) => Promise<unknown>;
  readonly caughtUp: () => Promise<void>;
  readonly stop: () => Promise<boolean>;
}

/** A process: opens the file, follows its table into `reader` if there is one, does `work` and ends. Answers the table. */
async function life(
  options: { outsideEpoch?: bigint; reader?: Reader; tuning?: TrackerTuning },
  work: (life: Life) => Promise<void>,
): Promise<readonly (readonly [number, unknown])[]> {
  const { reader, tuning, ...others } = options;
  const file = path.join(directory, 'stock.db');
  const database = EmbeddedDatabase.open({ name: 'stock', clock, file, retentionMs: RETENTION_MS, ...others });
  const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
  await dataSource.query('CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, level INTEGER)');
  await database.enableTracking([TABLE]);
  const registry = new CdcRegistry({ ...embeddedCdc(database), clock, random: new SeededRandom(1) });
  const tracker =
    reader && registry.track({ consumer: 'reader', table: TABLE, sink: reader, pageSize: 7, chunkSize: 5, ...tuning });
  tracker?.start();
  try {
    await work({
      database,
      sql: (text) => dataSource.query(text),
      caughtUp: () =>
        clock.until(
          () => tracker?.state.kind === 'streaming' && tracker.snapshot().version === database.currentVersion().version,
        ),
      stop: async () => (await tracker?.stop()) ?? true,
    });
    const rows: { id: number; level: number }[] = await dataSource.query('SELECT id, level FROM stock ORDER BY id');
    return rows.map(({ id, level }) => [id, level]);
  } finally {
    await tracker?.stop();
    await dataSource.destroy();
    await database.close();
  }
}

describe('A tracker on an embedded database', () => {
  it('reads the table anew when clean-up overtook it while nobody followed, and ends equal to the table', async () => {
    const reader = new Reader();
    await life({ reader }, async ({ sql, caughtUp }) => {
      for (let id = 1; id <= 20; id++) {
        await sql(`INSERT INTO stock VALUES (${id}, 0)`);
      }
      await caughtUp();
    });
    expect(reader.rows).toHaveLength(20);

    await life({}, async ({ sql, database }) => {
      await sql('DELETE FROM stock WHERE id <= 5');
      await clock.advance(RETENTION_MS + 1);
      // As many commits as it takes the database to look for what is old: it forgets the deletes.
      for (let id = 21; id <= 100; id++) {
        await sql(`INSERT INTO stock VALUES (${id}, 0)`);
      }
      const forgotten = await database.read('look', ({ connection }) =>
        connection.get(`SELECT count(*) AS deletes FROM smartpulse_change_log WHERE operation = 'D'`),
      );
      expect(forgotten).toEqual({ deletes: 0n });
    });
    expect(reader.rows.map(([id]) => id)).toContain(3);

    const rows = await life({ reader }, async ({ sql, caughtUp }) => {
      await caughtUp();
      await sql('UPDATE stock SET level = 9 WHERE id = 6');
      await caughtUp();
    });

    expect(reader.resyncs).toEqual(['firstStart', 'checkpointExpired']);
    expect(reader.rows).toEqual(rows);
    expect(rows).toHaveLength(95);
  });

  it('does so also when clean-up overtakes it between two pages', async () => {
    const reader = new Reader();
    const rows = await life({ reader }, async ({ database, sql, caughtUp }) => {
      await caughtUp();
      for (let id = 1; id <= 30; id++) {
        await sql(`INSERT INTO stock VALUES (${id}, 0)`);
      }
      let cleaned: Promise<unknown> | undefined;
      reader.onPage = () => {
        cleaned ??= sql('DELETE FROM stock WHERE id = 1').then(() => database.cleanUp({ retentionMs: 0 }));
      };
      await clock.until(() => reader.resyncs.includes('checkpointExpired'));
      await cleaned;
      await caughtUp();
    });

    expect(reader.resyncs).toEqual(['firstStart', 'checkpointExpired']);
    expect(reader.rows).toEqual(rows);
    expect(rows).toHaveLength(29);
  });

  it('keeps up with a log that is cleaned all the time, without a resync', async () => {
    const reader = new Reader();
    const rows = await life({ reader }, async ({ database, sql, caughtUp }) => {
      for (let round = 1; round <= 200; round++) {
        await sql(`INSERT OR REPLACE INTO stock VALUES (${round % 50}, ${round})`);
        if (round % 20 === 0) {
          await clock.advance(RETENTION_MS / 2);
          await caughtUp();
        }
      }
      const log = await database.read('look', ({ connection }) =>
        connection.get('SELECT count(*) AS commits FROM smartpulse_commit'),
      );
      expect(Number(log?.['commits'])).toBeLessThan(150);
    });

    expect(reader.resyncs).toEqual(['firstStart']);
    expect(reader.rows).toEqual(rows);
  });

  it('stops in the middle of a bootstrap after the running chunk, and goes on behind it in the next process', async () => {
    const reader = new Reader();
    await life({}, async ({ sql }) => {
      for (let id = 1; id <= 23; id++) {
        await sql(`INSERT INTO stock VALUES (${id}, 0)`);
      }
    });
    let pages = 0;
    await life({ reader }, async ({ stop, sql }) => {
      let stopped: Promise<boolean> | undefined;
      reader.onPage = () => {
        pages += 1;
        if (pages === 2) {
          stopped = stop();
        }
      };
      await clock.until(() => stopped !== undefined);
      expect(await stopped).toBe(true);
      await sql('DELETE FROM stock WHERE id = 3');
    });
    expect(pages).toBe(2);
    expect(reader.rows).toHaveLength(10);

    const rows = await life({ reader }, ({ caughtUp }) => caughtUp());

    // Three chunks more of the five, and the page with the delete.
    expect(pages).toBe(6);
    expect(reader.resyncs).toEqual(['firstStart']);
    expect(reader.rows).toEqual(rows);
  });

  it('reads the table anew from a file that was brought back, once its epoch is raised', async () => {
    const reader = new Reader();
    const file = path.join(directory, 'stock.db');
    await life({ reader }, async ({ sql, caughtUp }) => {
      await sql('INSERT INTO stock VALUES (1, 1), (2, 1)');
      await caughtUp();
    });
    copyFileSync(file, path.join(directory, 'backup.db'));
    let epoch = 0n;
    await life({ reader }, async ({ database, sql, caughtUp }) => {
      await sql('UPDATE stock SET level = 2');
      await sql('INSERT INTO stock VALUES (3, 2)');
      await caughtUp();
      ({ epoch } = database);
    });
    copyFileSync(path.join(directory, 'backup.db'), file);

    const rows = await life({ reader, outsideEpoch: epoch }, async ({ database, sql, caughtUp }) => {
      // The file alone cannot tell: its epoch is the outside one.
      expect(database.epoch).toBe(epoch);
      await database.raiseEpoch(epoch);
      await sql('UPDATE stock SET level = 3 WHERE id = 2');
      await clock.until(() => reader.resyncs.includes('epochChanged'));
      await caughtUp();
    });

    expect(reader.resyncs).toEqual(['firstStart', 'epochChanged']);
    expect(rows).toEqual([
      [1, 1],
      [2, 3],
    ]);
    expect(reader.rows).toEqual(rows);
  });
});
