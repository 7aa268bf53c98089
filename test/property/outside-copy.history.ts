import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { CdcRegistry, type ChangeTracker, type FeedEvent, type HandOff, type RowChange } from '@smartpulse/cdc';
import { embeddedCdc, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { RecordingSink, TableFold } from '@smartpulse/cdc/testing';
import { OutsideCopy, withOutsideCopy } from '@smartpulse/data-sync';
import type { RecordReply, StoredRecord } from '@smartpulse/redis-cache';
import { MemoryRecordStore } from '@smartpulse/redis-cache/embedded';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';

const TABLE = 'dbo.stock';
const KEYS = 8;
const LIVES = 7;

/** A server that comes and goes. */
class FarRecords extends MemoryRecordStore {
  reachable = true;

  override get(name: string): Promise<StoredRecord | undefined> {
    return this.reachable ? super.get(name) : Promise.reject(new Error('There is no connection.'));
  }

  override put(name: string, record: StoredRecord): Promise<RecordReply> {
    return this.reachable ? super.put(name, record) : Promise.reject(new Error('There is no connection.'));
  }
}

/** Keeps what it accepts as a cache does, by its stamps, and outlives the processes that feed it. */
class Reader extends RecordingSink {
  readonly fold = new TableFold(({ id }) => String(id));

  override async accept(changes: readonly RowChange[], handOff: HandOff): ReturnType<RecordingSink['accept']> {
    this.fold.accept(changes, handOff);
    return await super.accept(changes, handOff);
  }

  override async announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    this.fold.announce(event, handOff);
    await super.announce(event, handOff);
  }
}

/** What a history came to, life by life. */
export interface LifeOutcome {
  readonly restored: boolean;
  readonly epochRose: boolean;
  readonly reader: readonly string[];
  readonly table: readonly string[];
}

/** How a history goes. */
export interface HistoryOptions {
  readonly seed: number;
  readonly folder: string;
  /** `false`: positions in the file alone. */
  readonly outside: boolean;
}

/**
 * Lives of a process on one database file that is backed up and put back between them, with a reader that is fed by all of them. A life begins and ends with everything
 * handed off and saved, unless it is killed at its end; in between the server of the outside copy comes and goes.
 */
export async function tellHistory({
  seed,
  folder,
  outside: withCopy,
}: HistoryOptions): Promise<readonly LifeOutcome[]> {
  const random = new SeededRandom(seed);
  const clock = new VirtualClock();
  const records = new FarRecords();
  const outside = new OutsideCopy(records, clock);
  const reader = new Reader();
  const file = join(folder, 'db.sqlite');
  const backups: string[] = [];
  const outcomes: LifeOutcome[] = [];
  let restored = false;
  let epoch = 0n;
  let values = 0;

  for (let life = 0; life < LIVES; life++) {
    // Whoever opens the file may know of the outside copy or not: the trackers look at it.
    const outsideEpoch = withCopy && random.next() < 0.5 ? await outside.epochOf('db') : undefined;
    const database = EmbeddedDatabase.open({ name: 'db', file, clock, outsideEpoch, synchronous: 'normal' });
    const sql = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] }));
    await sql.initialize();
    await sql.query('CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, value INTEGER)');
    await database.enableTracking([TABLE]);
    const write = async (): Promise<void> => {
      const id = random.int(KEYS);
      await (random.next() < 0.3
        ? sql.query('DELETE FROM stock WHERE id = ?', [id])
        : sql.transaction(async (manager) => {
            for (let row = id; row <= Math.min(KEYS - 1, id + random.int(4)); row++) {
              await manager.query('INSERT OR REPLACE INTO stock VALUES (?, ?)', [row, ++values]);
            }
          }));
    };
    // What is written before anybody looks: the counter of a file that was put back grows again.
    for (let before = random.int(12); before > 0; before--) {
      await write();
    }
    const tracker = follow(database, withCopy ? outside : undefined, { clock, random, reader });
    const caughtUp = (): Promise<void> =>
      clock.until(
        () => tracker.state.kind === 'streaming' && tracker.snapshot().version === database.currentVersion().version,
      );
    const settled = async (): Promise<void> => {
      records.reachable = true;
      await sql.query('INSERT OR REPLACE INTO stock VALUES (0, ?)', [++values]);
      await caughtUp();
    };
    await settled();
    outcomes.push({
      restored,
      epochRose: epoch !== 0n && database.epoch > epoch,
      reader: rowsOf([...reader.fold.rows.values()]),
      table: rowsOf(await sql.query('SELECT id, value FROM stock')),
    });
    epoch = database.epoch;
    for (let step = random.int(10); step > 0; step--) {
      records.reachable = random.next() < 0.7;
      await write();
      await clock.advance(random.int(400));
    }
    const killed = random.next() < 0.3;
    if (!killed) {
      await settled();
    }
    await tracker.stop(killed ? AbortSignal.abort() : undefined);
    records.reachable = true;
    await sql.destroy();
    await database.close();
    const back = backups[random.int(backups.length + 1)];
    if (!killed) {
      const backup = join(folder, `backup-${backups.length}.sqlite`);
      copyFileSync(file, backup);
      backups.push(backup);
    }
    restored = back !== undefined && random.next() < 0.7;
    if (restored && back !== undefined) {
      copyFileSync(back, file);
    }
  }
  return outcomes;
}

function follow(
  database: EmbeddedDatabase,
  outside: OutsideCopy | undefined,
  { clock, random, reader }: { readonly clock: VirtualClock; readonly random: SeededRandom; readonly reader: Reader },
): ChangeTracker {
  const embedded = embeddedCdc(database);
  const parts = outside === undefined ? embedded : withOutsideCopy(embedded, outside);
  const tracker = new CdcRegistry({ ...parts, clock, random }).track({
    consumer: 'reader',
    table: TABLE,
    sink: reader,
    pageSize: 1 + random.int(4),
    chunkSize: 3,
    minIntervalMs: 20,
    maxIntervalMs: 200,
    errorBackoff: { initialMs: 10, multiplier: 2, maxMs: 100, jitter: 'equal' },
    leaseRetry: { initialMs: 10, multiplier: 1.5, maxMs: 80, jitter: 'equal' },
  });
  tracker.start();
  return tracker;
}

function rowsOf(rows: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  return rows.map(({ id, value }) => `${String(id)}=${String(value)}`).sort();
}
