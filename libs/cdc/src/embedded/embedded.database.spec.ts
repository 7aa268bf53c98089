import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embeddedCdc } from './embedded-cdc.js';
import { EmbeddedDatabase } from './embedded.database.js';
import { EmbeddedDatabaseClosedError, EmbeddedFileError, EmbeddedFileInUseError } from './embedded.errors.js';

let directory: string;
let file: string;
const opened: EmbeddedDatabase[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'smartpulse-cdc-'));
  file = path.join(directory, 'deep', 'a.db');
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()));
  rmSync(directory, { recursive: true });
});

function open(options: { atMs?: number; outsideEpoch?: bigint; file?: string } = {}): EmbeddedDatabase {
  const { atMs, ...others } = options;
  const database = EmbeddedDatabase.open({ name: 'db', clock: new VirtualClock(atMs), file, ...others });
  opened.push(database);
  return database;
}

async function write(database: EmbeddedDatabase, ...statements: string[]): Promise<void> {
  const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
  for (const statement of statements) {
    await dataSource.query(statement);
  }
  await dataSource.destroy();
}

describe('EmbeddedDatabase', () => {
  it('goes on with epoch, counter, data and tracking when its file is opened again', async () => {
    const first = open();
    await write(first, 'CREATE TABLE item (id INTEGER PRIMARY KEY)');
    await first.enableTracking(['dbo.item']);
    await write(first, 'INSERT INTO item VALUES (1)');
    const stamp = first.currentVersion();
    const state = await embeddedCdc(first).source.state(['dbo.item']);
    await first.close();

    const second = open({ atMs: Date.UTC(2030, 0, 1) });
    expect(second.currentVersion()).toEqual(stamp);
    await second.enableTracking(['dbo.item']);
    expect(await embeddedCdc(second).source.state(['dbo.item'])).toEqual(state);
    await write(second, 'INSERT INTO item VALUES (2)');
    expect(second.currentVersion()).toEqual({ epoch: stamp.epoch, version: stamp.version + 1n });
  });

  it('begins a new file above the outside epoch, or at the seconds of the clock if they are larger', () => {
    const atMs = Date.UTC(2026, 5, 1);
    const seconds = BigInt(atMs / 1_000);
    expect(open({ atMs, file: ':memory:' }).epoch).toBe(seconds);
    expect(open({ atMs: atMs + 999, file: ':memory:', outsideEpoch: 5n }).epoch).toBe(seconds);
    expect(open({ atMs, file: ':memory:', outsideEpoch: seconds + 7n }).epoch).toBe(seconds + 8n);
    expect(open({ atMs, file: ':memory:', outsideEpoch: seconds }).epoch).toBe(seconds + 1n);
  });

  it('begins a new epoch for a file that is behind the outside one, since it was restored', async () => {
    const first = open();
    const { epoch } = first;
    await first.close();
    const same = open({ outsideEpoch: epoch });
    expect(same.epoch).toBe(epoch);
    await same.close();
    expect(open({ outsideEpoch: epoch + 3n }).epoch).toBe(epoch + 4n);
  });

  it('raises its epoch once for all who saw the same one', async () => {
    const database = open();
    const { epoch } = database;
    const raised = await Promise.all([1, 2, 3].map(() => database.raiseEpoch(epoch)));
    expect(raised).toEqual([epoch + 1n, epoch + 1n, epoch + 1n]);
    expect(database.epoch).toBe(epoch + 1n);
    await database.close();
    expect(open().epoch).toBe(epoch + 1n);
  });

  it('counts beyond 2^53 without losing a version', async () => {
    const first = open();
    await write(first, 'CREATE TABLE item (id INTEGER PRIMARY KEY)');
    await first.enableTracking(['dbo.item']);
    await first.close();
    const beyond = 9_007_199_254_740_993n;
    const raw = new DatabaseSync(file);
    raw.prepare('UPDATE smartpulse_database SET version = ?').run(beyond);
    raw.close();

    const database = open();
    await write(database, 'INSERT INTO item VALUES (1)', 'INSERT INTO item VALUES (2)');
    expect(database.currentVersion().version).toBe(beyond + 2n);
    const { changes, cursors } = await embeddedCdc(database).source.readPage({
      table: 'dbo.item',
      after: beyond,
      cursor: { version: beyond + 1n, key: '1' },
      limit: 10,
      signal: new AbortController().signal,
    });
    expect(changes.map(({ version }) => version.version)).toEqual([beyond + 2n]);
    expect(cursors).toEqual([{ version: beyond + 2n, key: '2' }]);
  });

  it('refuses a file that is open already, and opens it once it is closed', async () => {
    const first = open();
    expect(() => open()).toThrow(EmbeddedFileInUseError);
    await first.close();
    open();
  });

  it('refuses a file of another format by an error that says so, and leaves it as it is', async () => {
    await open().close();
    const raw = new DatabaseSync(file);
    raw.exec('UPDATE smartpulse_database SET format = 99; DROP TABLE smartpulse_commit');
    const before = raw.prepare('SELECT * FROM smartpulse_database').all();
    raw.close();
    expect(() => open({ outsideEpoch: 1n << 40n })).toThrow('holds format 99');

    const after = new DatabaseSync(file);
    expect(after.prepare('SELECT * FROM smartpulse_database').all()).toEqual(before);
    expect(after.prepare(`SELECT count(*) AS n FROM sqlite_master WHERE name = 'smartpulse_commit'`).get()).toEqual({
      n: 0,
    });
    after.close();
  });

  it('refuses what is no database, no file and no place for one by one error with the cause and a remedy', () => {
    const text = path.join(directory, 'text');
    writeFileSync(text, 'not a database, only long enough to be read as one. '.repeat(20));
    for (const [wrong, cause] of [
      [text, 'file is not a database'],
      [directory, 'unable to open'],
      [path.join(text, 'a.db'), 'EEXIST'],
      ['/proc/smartpulse.db', 'unable to open'],
    ] as const) {
      const attempt = (): unknown => open({ file: wrong });
      expect(attempt).toThrow(EmbeddedFileError);
      expect(attempt).toThrow(cause);
      expect(attempt).toThrow('Name a file');
    }
    expect(() => open({ file: 'file:a.db?mode=ro' })).toThrow('no URI');
  });

  it('never answers an older epoch than a caller before, also while it is raised', async () => {
    const database = open({ file: ':memory:' });
    const { source } = embeddedCdc(database);
    const { epoch } = database;
    const answers = await Promise.all([
      source.state([]).then((state) => state.epoch),
      database.raiseEpoch(epoch),
      source.state([]).then((state) => state.epoch),
      database.raiseEpoch(epoch),
    ]);
    expect(answers).toEqual([epoch, epoch + 1n, epoch + 1n, epoch + 1n]);
  });

  it('tells a copy of an older file by the epoch only, so that whoever brings one back raises it', async () => {
    const first = open();
    await write(first, 'CREATE TABLE item (id INTEGER PRIMARY KEY)');
    await first.enableTracking(['dbo.item']);
    const { epoch } = first;
    await first.close();
    const copy = path.join(directory, 'copy.db');
    copyFileSync(file, copy);
    const again = open();
    await write(again, 'INSERT INTO item VALUES (1)');
    const raised = await again.raiseEpoch(epoch);
    await again.close();

    const older = open({ file: copy, outsideEpoch: raised });
    expect(older.epoch).toBe(raised + 1n);
    await older.close();
    copyFileSync(file, copy);
    const same = open({ file: copy, outsideEpoch: raised });
    expect(same.epoch).toBe(raised);
    expect(await same.raiseEpoch(raised)).toBeGreaterThan(raised);
  });

  it('names every wrong option when it is opened', () => {
    const wrong = { name: 'a b', clock: new VirtualClock(), turnTimeoutMs: 0.5, retentoinMs: 1 };
    expect(() => EmbeddedDatabase.open(wrong)).toThrow(ConfigurationError);
    for (const part of ['"name"', '"turnTimeoutMs"', 'retentoinMs']) {
      expect(() => EmbeddedDatabase.open(wrong)).toThrow(part);
    }
  });

  it('frees the leases of an earlier process, whose fences stay', async () => {
    const first = open();
    const lease = await embeddedCdc(first).leadership.acquire('a');
    await first.close();
    expect(lease?.signal.aborted).toBe(true);
    const again = await embeddedCdc(open()).leadership.acquire('a');
    expect(again?.fence).toBe(lease && lease.fence + 1n);
    await again?.release();
  });

  it('brings nudges of one app to the trackers of all others', () => {
    const database = open({ file: ':memory:' });
    let nudged = 0;
    const end = embeddedCdc(database).pollSignal.onNudge('dbo.item', () => (nudged += 1));
    embeddedCdc(database).pollSignal.nudge(['dbo.item', 'dbo.other']);
    expect(nudged).toBe(1);
    end();
    embeddedCdc(database).pollSignal.nudge(['dbo.item']);
    expect(nudged).toBe(1);
  });

  it('refuses its adapters once it is closed', async () => {
    const database = open();
    const { source, checkpoints, leadership } = embeddedCdc(database);
    await database.close();
    await expect(source.state([])).rejects.toBeInstanceOf(EmbeddedDatabaseClosedError);
    await expect(checkpoints.load({ consumer: 'a', source: 'b', table: 'c' })).rejects.toBeInstanceOf(
      EmbeddedDatabaseClosedError,
    );
    await expect(leadership.acquire('a')).rejects.toBeInstanceOf(EmbeddedDatabaseClosedError);
  });
});
