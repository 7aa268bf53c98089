import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { CdcRegistry, type Checkpoint, type RowChange } from '@smartpulse/cdc';
import { embeddedCdc, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { InMemoryChangeSource, InMemoryCheckpointStore, RecordingSink } from '@smartpulse/cdc/testing';
import type { RecordReply, StoredRecord } from '@smartpulse/redis-cache';
import { MemoryRecordStore } from '@smartpulse/redis-cache/embedded';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DoubledCheckpointStore } from './doubled.checkpoint.store.js';
import { OutsideCopy } from './outside-copy.js';
import { OutsideEpochChangeSource } from './outside-epoch.change.source.js';
import { withOutsideCopy } from './with-outside-copy.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

const KEY = { consumer: 'c', source: 'db', table: 'dbo.stock' };
const at = (epoch: bigint, version: bigint, cursor: bigint | null = null): Checkpoint => ({
  ...KEY,
  epoch,
  objectId: '1',
  beginVersion: 0n,
  schemaHash: 'h',
  sinkInstance: 's',
  upToDateAtMs: null,
  phase: { kind: 'streaming', version, cursor: cursor === null ? null : { version: cursor, key: 'k' } },
});

/** Records that can be out of reach. */
class FarRecords extends MemoryRecordStore {
  reachable = true;

  override get(name: string): Promise<StoredRecord | undefined> {
    return this.reachable ? super.get(name) : Promise.reject(new Error('There is no connection.'));
  }

  override put(name: string, record: StoredRecord): Promise<RecordReply> {
    return this.reachable ? super.put(name, record) : Promise.reject(new Error('There is no connection.'));
  }
}

describe('OutsideCopy', () => {
  const clock = new VirtualClock();
  const seconds = BigInt(Math.floor(clock.now() / 1_000));

  it('lets one of many decide the next epoch, and the others adopt it', async () => {
    const outside = new OutsideCopy(new MemoryRecordStore(), clock);
    expect(await outside.epochOf('db')).toBeUndefined();
    await outside.noteEpoch('db', seconds + 5n);
    const raised = await Promise.all(Array.from({ length: 10 }, () => outside.raiseEpoch('db', seconds + 5n)));
    expect(new Set(raised)).toEqual(new Set([seconds + 6n]));
    expect(await outside.raiseEpoch('db', seconds + 5n)).toBe(seconds + 6n);
    expect(await outside.raiseEpoch('db', 1n)).toBe(seconds + 6n);
    expect(await outside.epochOf('db')).toBe(seconds + 6n);
    expect(await outside.epochOf('other')).toBeUndefined();
  });

  it('begins with the seconds of the clock where they are larger, also where it knew of less than the database', async () => {
    const outside = new OutsideCopy(new MemoryRecordStore(), clock);
    await outside.noteEpoch('db', 3n);
    expect(await outside.raiseEpoch('db', 7n)).toBe(seconds);
    await outside.noteEpoch('db', 3n);
    expect(await outside.epochOf('db')).toBe(seconds);
  });

  it('keeps the furthest position, whoever saves last', async () => {
    const outside = new OutsideCopy(new MemoryRecordStore(), clock);
    const inOrder = [at(1n, 9n), at(2n, 3n), at(2n, 3n, 4n), at(2n, 4n), at(2n, 4n, 9n), at(2n, 9n)];
    for (const [index, further] of inOrder.entries()) {
      await outside.save(further);
      for (const earlier of inOrder.slice(0, index)) {
        await outside.save(earlier);
      }
      expect(await outside.load(KEY)).toEqual(further);
    }
  });
});

describe('DoubledCheckpointStore', () => {
  let source: InMemoryChangeSource;
  let records: FarRecords;
  let outside: OutsideCopy;
  let inside: InMemoryCheckpointStore;
  let store: DoubledCheckpointStore;

  beforeEach(() => {
    source = new InMemoryChangeSource('db', [{ table: 'dbo.stock', primaryKey: ['id'] }]);
    records = new FarRecords();
    outside = new OutsideCopy(records, new VirtualClock());
    inside = new InMemoryCheckpointStore();
    store = new DoubledCheckpointStore(inside, outside, new OutsideEpochChangeSource(source, outside));
  });

  const epoch = async (): Promise<bigint> => (await source.state([])).epoch;

  it('changes nothing while both say the same, or the copy lags', async () => {
    await store.save(at(1n, 3n), 1n);
    await inside.save(at(1n, 5n), 1n);
    expect(await store.load(KEY)).toEqual(at(1n, 5n));
    expect(await epoch()).toBe(1n);
  });

  it('takes a resync that begins where its reader stands for no step back', async () => {
    await store.save(at(1n, 5n), 1n);
    const resync: Checkpoint = {
      ...at(1n, 5n),
      phase: { kind: 'bootstrap', reason: 'requested', fromVersion: 5n, afterKey: null },
    };
    await store.save(resync, 1n);
    expect(await store.load(KEY)).toEqual(resync);
    expect(await epoch()).toBe(1n);
  });

  it.each([
    ['less than the copy', at(1n, 4n)],
    ['a part of a transaction less', at(1n, 5n)],
    ['nothing at all', undefined],
  ])('begins a new epoch, once, when the database knows %s', async (_less, left) => {
    await store.save(at(1n, 5n, 6n), 1n);
    const restored = new InMemoryCheckpointStore();
    if (left !== undefined) {
      await restored.save(left, 1n);
    }
    const stores = [1, 2].map(
      () => new DoubledCheckpointStore(restored, outside, new OutsideEpochChangeSource(source, outside)),
    );
    expect(await Promise.all(stores.map((one) => one.load(KEY)))).toEqual([left, left]);
    const raised = await epoch();
    expect(raised).toBeGreaterThan(1n);
    expect(await outside.epochOf('db')).toBe(raised);
    await stores[0]?.load(KEY);
    expect(await epoch()).toBe(raised);
  });

  it('gives the copy the further place of a table where an earlier attempt fails later', async () => {
    const save = outside.save.bind(outside);
    const down = new Error('There is no connection.');
    let failLate = (): void => {};
    const late = new Promise<never>((_, reject) => {
      failLate = () => reject(down);
    });
    const other = (version: bigint): Checkpoint => ({ ...at(1n, version), table: 'dbo.other' });
    outside.save = ({ table }) => (table === KEY.table ? late : Promise.reject(down));
    const slow = store.save(at(1n, 3n), 1n);
    await store.save(other(1n), 1n);
    await store.save(at(1n, 5n), 1n);
    failLate();
    await slow;
    outside.save = save;
    await store.save(other(2n), 1n);

    await expect.poll(() => outside.load(KEY)).toEqual(at(1n, 5n));
    await expect.poll(() => outside.load({ ...KEY, table: 'dbo.other' })).toEqual(other(2n));
  });

  it('leaves a database alone that has begun a later epoch by itself', async () => {
    await store.save(at(1n, 5n), 1n);
    await source.raiseEpoch(1n, 50n);
    const wrapped = new OutsideEpochChangeSource(source, outside);
    const fresh = new DoubledCheckpointStore(new InMemoryCheckpointStore(), outside, wrapped);
    expect(await fresh.load(KEY)).toBeUndefined();
    expect(await epoch()).toBe(50n);
    expect(await outside.epochOf('db')).toBeUndefined();
  });

  it('notes the epoch of a database that is further than what was decided', async () => {
    const far = 9_000_000_000n;
    await source.raiseEpoch(1n, far);
    expect(await new OutsideEpochChangeSource(source, outside).raiseEpoch(1n)).toBe(far);
    expect(await outside.epochOf('db')).toBe(far);
  });

  it('begins an epoch above one that the database has forgotten', async () => {
    await store.save(at(7n, 1n), 1n);
    await store.load(KEY);
    await inside.save(at(1n, 9n), 1n);
    expect(await store.load(KEY)).toEqual(at(1n, 9n));
    expect(await epoch()).toBeGreaterThan(7n);
  });

  it('saves inside alone while the copy is out of reach, and does not read on without a look at it', async () => {
    records.reachable = false;
    expect(await store.save(at(1n, 5n), 1n)).toBe('saved');
    expect(await inside.load(KEY)).toEqual(at(1n, 5n));
    await expect(store.load(KEY)).rejects.toThrow('There is no connection.');
    records.reachable = true;
    expect(await store.load(KEY)).toEqual(at(1n, 5n));
  });

  it('waits once for a copy that does not answer, no longer for any page after that, and makes up for it by itself', async () => {
    const other = { ...at(1n, 1n), table: 'dbo.other' };
    records.reachable = false;
    await store.save(at(1n, 5n), 1n);
    let answer = (): void => {};
    const silence = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const put = records.put.bind(records);
    let asked = 0;
    records.put = async (name, record) => {
      asked += 1;
      await silence;
      return put(name, record);
    };
    records.reachable = true;
    for (let version = 6n; version <= 20n; version++) {
      expect(await store.save(at(1n, version), 1n)).toBe('saved');
    }
    expect(await store.save(other, 1n)).toBe('saved');
    expect(asked).toBe(1);
    answer();
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
    }
    expect(await outside.load(KEY)).toEqual(at(1n, 20n));
    expect(await outside.load({ ...KEY, table: 'dbo.other' })).toEqual(other);

    await store.save(at(1n, 21n), 1n);
    expect(await outside.load(KEY)).toEqual(at(1n, 21n));
  });

  it('tells an older holder that it is fenced off, and copies nothing of it', async () => {
    await store.save(at(1n, 5n), 2n);
    expect(await store.save(at(1n, 6n), 1n)).toBe('fenced');
    expect(await outside.load(KEY)).toEqual(at(1n, 5n));
  });
});

/** One life of a process on a database file. */
interface Life {
  readonly database: EmbeddedDatabase;
  readonly sql: DataSource;
  /** Follows the table until everything is handed off; answers what the sink was told. */
  readonly follow: () => Promise<RecordingSink>;
}

describe('an embedded database with an outside copy', () => {
  let folder: string;
  let clock: VirtualClock;
  let outside: OutsideCopy;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartpulse-outside-'));
    clock = new VirtualClock();
    outside = new OutsideCopy(new MemoryRecordStore(), clock);
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function live(copy: OutsideCopy | undefined, work: (life: Life) => Promise<void>): Promise<void> {
    const outsideEpoch = await copy?.epochOf('db');
    const database = EmbeddedDatabase.open({ name: 'db', file: file(), clock, outsideEpoch });
    const sql = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] }));
    try {
      await copy?.noteEpoch('db', database.epoch);
      await sql.initialize();
      await sql.query('CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, level INTEGER)');
      await database.enableTracking(['dbo.stock']);
      await work({ database, sql, follow: () => follow(database, copy) });
    } finally {
      await sql.destroy();
      await database.close();
    }
  }

  async function follow(database: EmbeddedDatabase, copy: OutsideCopy | undefined): Promise<RecordingSink> {
    const embedded = embeddedCdc(database);
    const parts = copy === undefined ? embedded : withOutsideCopy(embedded, copy);
    const sink = new RecordingSink();
    const registry = new CdcRegistry({ ...parts, clock, random: new SeededRandom(1) });
    const tracker = registry.track({ consumer: 'c', table: 'dbo.stock', sink });
    tracker.start();
    await clock.until(
      () => tracker.state.kind === 'streaming' && tracker.snapshot().version === database.currentVersion().version,
    );
    await tracker.stop();
    return sink;
  }

  const file = (): string => join(folder, 'db.sqlite');
  const backup = (): string => join(folder, 'backup.sqlite');
  const levels = (changes: readonly RowChange[]): readonly unknown[] =>
    changes.map(({ row }) => Number(row?.['level']));

  /** Two rows, a backup, a third row that is handed off: then the backup is put in the file's place. */
  async function setBack(copy: OutsideCopy | undefined): Promise<bigint> {
    let epoch = 0n;
    await live(copy, async ({ database, sql, follow: followOn }) => {
      await sql.query('INSERT INTO stock VALUES (1, 10)');
      await sql.query('INSERT INTO stock VALUES (2, 20)');
      await followOn();
      epoch = database.epoch;
    });
    await copyFile(file(), backup());
    await live(copy, async ({ sql, follow: followOn }) => {
      await sql.query('INSERT INTO stock VALUES (3, 30)');
      expect(levels((await followOn()).changes)).toEqual([30]);
    });
    await copyFile(backup(), file());
    return epoch;
  }

  it('goes on where it was after a restart, in the same epoch', async () => {
    await live(outside, async ({ sql, follow: followOn }) => {
      await sql.query('INSERT INTO stock VALUES (1, 10)');
      await followOn();
    });
    await live(outside, async ({ sql, follow: followOn }) => {
      await sql.query('INSERT INTO stock VALUES (2, 20)');
      const sink = await followOn();
      expect(levels(sink.changes)).toEqual([20]);
      expect(sink.events.map(({ kind }) => kind)).toEqual(['started']);
    });
  });

  it.each([
    ['as it was', 0],
    ['and has grown to the lost version again', 1],
    ['and has grown past the lost version', 3],
  ])('is noticed when its file was restored from a backup %s: a new epoch, and every row anew', async (_how, rows) => {
    const epoch = await setBack(outside);
    await live(outside, async ({ database, sql, follow: followOn }) => {
      for (let row = 0; row < rows; row++) {
        await sql.query(`INSERT INTO stock VALUES (${3 + row}, ${300 + row})`);
      }
      expect(database.epoch).toBe(epoch);
      const sink = await followOn();
      expect(database.epoch).toBeGreaterThan(epoch);
      expect(await outside.epochOf('db')).toBe(database.epoch);
      expect(sink.events.map(({ kind }) => kind)).toEqual(['started', 'resyncStarted', 'resyncCompleted']);
      expect(levels(sink.changes)).toEqual([10, 20, 300, 301, 302].slice(0, 2 + rows));
      expect(new Set(sink.changes.map(({ version }) => version.epoch))).toEqual(new Set([database.epoch]));
    });
    // The next life has nothing to notice.
    await live(outside, async ({ follow: followOn }) => {
      expect((await followOn()).changes).toEqual([]);
    });
  });

  it('is not noticed without one: what was lost stays where it was handed to', async () => {
    const epoch = await setBack(undefined);
    await live(undefined, async ({ database, sql, follow: followOn }) => {
      await sql.query('INSERT INTO stock VALUES (4, 40)');
      expect(levels((await followOn()).changes)).toEqual([40]);
      expect(database.epoch).toBe(epoch);
    });
  });

  it('is noticed when the file is from before the last epoch', async () => {
    await setBack(outside);
    await live(outside, async ({ follow: followOn }) => void (await followOn()));
    const known = (await outside.epochOf('db')) ?? 0n;
    await copyFile(backup(), file());
    await live(outside, async ({ database, follow: followOn }) => {
      expect(database.epoch).toBeGreaterThan(known);
      expect(levels((await followOn()).changes)).toEqual([10, 20]);
    });
  });
});
