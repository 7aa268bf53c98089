import { type Checkpoint, type Row, type SourceState, TableNotTrackedError } from '@smartpulse/cdc';
import {
  type EmbeddedCdcParts,
  embeddedCdc,
  EmbeddedDatabase,
  EmbeddedStampedReader,
  EmbeddedTurnExpiredError,
} from '@smartpulse/cdc/embedded';
import type { SyncRead } from '@smartpulse/data-sync';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource, type EntityManager } from 'typeorm';
import type { Process } from '../process.js';
import { LeasesOfProcesses } from './leases-of-processes.js';
import {
  byKey,
  CONSUMER,
  type Deed,
  type Look,
  OTHER_TABLE,
  type ReplicaParts,
  Subject,
  type SubjectOptions,
  type Truth,
  valuesByKey,
  type Write,
} from './subject.js';
import { type HistoryTable, KEYS } from './tables.js';

const SOURCE = 'db';
const TURN_MS = 400;

class Undone extends Error {}

/** The embedded database: all replicas are in one process with it, so that a replica that dies leaves its lease to whoever asks next. */
export class EmbeddedSubject extends Subject {
  override readonly clock: VirtualClock;
  override readonly leaseTtlMs = 1_000;
  override readonly isolation = 'snapshot';
  readonly #database: EmbeddedDatabase;
  readonly #sql: DataSource;
  readonly #observer: EmbeddedCdcParts;
  readonly #leases = new LeasesOfProcesses();
  readonly #keys = new Map<HistoryTable, ReadonlyMap<string, number>>();
  #columns = 0;

  private constructor(options: SubjectOptions, clock: VirtualClock, database: EmbeddedDatabase, sql: DataSource) {
    super(options);
    this.clock = clock;
    this.#database = database;
    this.#sql = sql;
    this.#observer = embeddedCdc(database);
  }

  static async create(this: void, options: SubjectOptions): Promise<EmbeddedSubject> {
    const clock = new VirtualClock();
    const database = EmbeddedDatabase.open({ name: SOURCE, clock, turnTimeoutMs: TURN_MS });
    const sql = await new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] })).initialize();
    for (const table of options.tables) {
      await sql.query(makeSql(table));
    }
    await sql.query('CREATE TABLE other (id INTEGER PRIMARY KEY, value INTEGER)');
    await database.enableTracking([...options.tables.map(({ name }) => name), OTHER_TABLE]);
    return new EmbeddedSubject(options, clock, database, sql);
  }

  override get deeds(): readonly Deed[] {
    const database = this.#database;
    return [
      {
        name: 'clean-ups',
        weight: 6,
        strike: () => this.#inTurn(() => database.cleanUp({ retentionMs: this.options.random.int(300) })),
      },
      { name: 'truncates', weight: 2, strike: () => this.#inTurn(() => this.#truncate()) },
      { name: 'tracking off and on', weight: 1, strike: () => this.#inTurn(() => this.#reEnable()) },
      { name: 'tables made again', weight: 1, strike: () => this.#inTurn(() => this.#makeAgain()) },
      { name: 'columns added', weight: 1, strike: () => this.#inTurn(() => this.#addColumn()) },
      { name: 'writers that give up', weight: 4, strike: () => this.#inTurn(() => this.#giveUp()) },
      { name: 'writers that keep the connection', weight: 4, strike: () => this.#keepConnection() },
      { name: 'leases lost', weight: 4, strike: () => this.#loseLeases() },
    ];
  }

  override commit(writes: readonly Write[]): void {
    this.#inTurn(() => this.#sql.transaction((manager) => apply(manager, writes)));
  }

  override commitElsewhere(): void {
    const sql = 'INSERT INTO other VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET value = value + 1';
    this.#inTurn(() => this.#sql.query(sql));
  }

  override replica(process: Process): ReplicaParts {
    const { source, checkpoints, leadership } = embeddedCdc(this.#database, undefined, { ttlMs: this.leaseTtlMs });
    return {
      source,
      checkpoints,
      leadership: this.#leases.remembering(process, leadership),
      close: async () => {},
    };
  }

  override crashed(process: Process): void {
    const leases = this.#leases.takeFrom(process);
    if (leases.length > 0) {
      this.#inTurn(() => Promise.all(leases.map((lease) => lease.release())));
    }
  }

  override calmDown(): void {}

  override read<T>(work: (look: Look) => Promise<T>): Promise<SyncRead<T>> {
    const reader = this.syncReader(new EmbeddedStampedReader(this.#database, this.#sql));
    return reader.read((manager: EntityManager) => {
      const values = async (table: HistoryTable) => {
        const rows: Row[] = await manager.query(`SELECT * FROM ${sqliteName(table)}`);
        return valuesByKey(table, rows);
      };
      return work({
        values,
        pause: (ms) => this.clock.sleep(ms),
        // Whoever else would look waits for the turn.
        instant: async (table) => ({
          ...this.#database.currentVersion(),
          isOfTheSnapshot: true,
          values: await values(table),
        }),
      });
    });
  }

  override truth(table: HistoryTable): Promise<Truth> {
    const { name } = table;
    return this.#database.read('truth', ({ connection }) => {
      const { epoch, version } = this.#database.currentVersion();
      const tracked = connection.get('SELECT id, min_valid_version FROM smartpulse_tracked_table WHERE name = ?', name);
      const logged = connection.all(
        'SELECT key, version FROM smartpulse_change_log WHERE table_id = ?',
        tracked?.['id'] ?? null,
      );
      const minValidVersion = tracked?.['min_valid_version'];
      return {
        epoch,
        version,
        minValidVersion: typeof minValidVersion === 'bigint' ? minValidVersion : version,
        rows: byKey(table, connection.all(`SELECT * FROM ${sqliteName(table)}`)),
        log: new Map(logged.map(({ key, version: at }) => [this.#keyIn(table, String(key)), BigInt(String(at))])),
      };
    });
  }

  override async state({ name }: HistoryTable): Promise<SourceState & { readonly schemaHash: string }> {
    const { source } = this.#observer;
    const { schemaHash } = await source.describe(name);
    return { ...(await source.state([name])), schemaHash };
  }

  override checkpoint({ name }: HistoryTable): Promise<Checkpoint | undefined> {
    return this.#observer.checkpoints.load({ consumer: CONSUMER, source: SOURCE, table: name });
  }

  override fence({ name }: HistoryTable): Promise<bigint | undefined> {
    return this.#database.read('fence', ({ connection }) => {
      const row = connection.get('SELECT fence FROM smartpulse_checkpoint WHERE table_name = ?', name);
      const fence = row?.['fence'];
      return typeof fence === 'bigint' ? fence : undefined;
    });
  }

  override isWithin(table: HistoryTable, key: number, cursorKey: string): boolean {
    // Its pages are in the order of the keys' text.
    return keyText(table, key) <= cursorKey;
  }

  override async close(): Promise<readonly string[]> {
    await this.#sql.destroy();
    const { waitingTurns, leases } = this.#database;
    await this.#database.close();
    return [
      ...(waitingTurns === 0 ? [] : [`${waitingTurns} callers that wait`]),
      ...[...leases.keys()].map((resource) => `the lease of ${resource}`),
    ];
  }

  /** Somebody may hold the connection until time goes on: nobody waits here for the turn. */
  #inTurn(work: () => Promise<unknown>): void {
    void this.options.onItsWay(async () => void (await work()));
  }

  async #truncate(): Promise<void> {
    try {
      await this.#database.truncate(this.someTable().name);
    } catch (error) {
      // Between off and on.
      if (!TableNotTrackedError.is(error)) {
        throw error;
      }
    }
  }

  async #reEnable(): Promise<void> {
    const { name } = this.someTable();
    await this.#database.disableTracking([name]);
    await this.#database.enableTracking([name]);
  }

  async #makeAgain(): Promise<void> {
    const table = this.someTable();
    await this.#sql.transaction(async (manager) => {
      await manager.query(`DROP TABLE ${sqliteName(table)}`);
      await manager.query(makeSql(table));
      // From here until it is tracked again the log tells of rows that are gone.
      this.upheave(table);
    });
    await this.#database.enableTracking([table.name]);
  }

  async #addColumn(): Promise<void> {
    const table = this.someTable();
    this.#columns += 1;
    await this.#sql.query(`ALTER TABLE ${sqliteName(table)} ADD COLUMN more${this.#columns} INTEGER`);
    await this.#database.enableTracking([table.name]);
  }

  async #giveUp(): Promise<void> {
    try {
      await this.#sql.transaction(async (manager) => {
        await manager.query(`DELETE FROM ${sqliteName(this.someTable())}`);
        throw new Undone();
      });
    } catch (error) {
      if (!(error instanceof Undone)) {
        throw error;
      }
    }
  }

  /** A transaction that stays open for a while, or for longer than it may. */
  #keepConnection(): void {
    const heldMs = this.options.random.int(TURN_MS * 1.5);
    const table = this.someTable();
    const key = this.options.random.int(KEYS - 1);
    this.#inTurn(async () => {
      try {
        await this.#sql.transaction(async (manager) => {
          await manager.query(
            `UPDATE ${sqliteName(table)} SET value = value + 1 ${where(table)}`,
            valuesOf(table, key),
          );
          await this.clock.sleep(heldMs);
          await manager.query(`DELETE FROM ${sqliteName(table)} ${where(table)}`, valuesOf(table, key + 1));
        });
      } catch (error) {
        if (!EmbeddedTurnExpiredError.is(error)) {
          throw error;
        }
        this.options.note('writers that overstayed their turn');
      }
    });
  }

  /** All of them, or one table's. */
  #loseLeases(): void {
    const { random } = this.options;
    const leases = [...this.#database.leases.values()];
    const lost = random.next() < 0.5 ? leases : leases.slice(random.int(leases.length + 1)).slice(0, 1);
    lost.forEach((lease) => lease.end('somebody took it'));
  }

  #keyIn(table: HistoryTable, text: string): number {
    const known = this.#keys.get(table) ?? new Map(ALL_KEYS.map((key) => [keyText(table, key), key]));
    this.#keys.set(table, known);
    return known.get(text) ?? Number.NaN;
  }
}

const ALL_KEYS = Array.from({ length: KEYS }, (_, key) => key);

async function apply(manager: EntityManager, writes: readonly Write[]): Promise<void> {
  for (const write of writes) {
    const { table, key } = write;
    const values = valuesOf(table, key);
    if (write.kind === 'upsert') {
      const columns = table.primaryKey.join(', ');
      await manager.query(
        `INSERT INTO ${sqliteName(table)} (${columns}, value) VALUES (${values.map(() => '?').join(', ')}, ?) ON CONFLICT (${columns}) DO UPDATE SET value = excluded.value`,
        [...values, write.value],
      );
    } else if (write.kind === 'delete') {
      await manager.query(`DELETE FROM ${sqliteName(table)} ${where(table)}`, values);
    } else {
      const set = table.primaryKey.map((column) => `${column} = ?`).join(', ');
      await manager.query(`UPDATE OR IGNORE ${sqliteName(table)} SET ${set}, value = ? ${where(table)}`, [
        ...valuesOf(table, write.to),
        write.value,
        ...values,
      ]);
    }
  }
}

function sqliteName({ name }: HistoryTable): string {
  return name.replace('dbo.', '');
}

function makeSql(table: HistoryTable): string {
  const { primaryKey, texts } = table;
  // One whole number is an alias of SQLite's row id, as TypeORM makes it.
  const columns = primaryKey.map((column) => `${column} ${texts.includes(column) ? 'TEXT' : 'INTEGER'} NOT NULL`);
  return `CREATE TABLE IF NOT EXISTS ${sqliteName(table)} (${columns.join(', ')}, value INTEGER, PRIMARY KEY (${primaryKey.join(', ')}))`;
}

function where({ primaryKey }: HistoryTable): string {
  return `WHERE ${primaryKey.map((column) => `${column} = ?`).join(' AND ')}`;
}

function valuesOf({ primaryKeyOf }: HistoryTable, key: number): readonly (string | number)[] {
  return Object.values(primaryKeyOf(key));
}

/** As the change log writes it. */
function keyText(table: HistoryTable, key: number): string {
  return valuesOf(table, key)
    .map((value) => (typeof value === 'string' ? `"${value}"` : String(value)))
    .join(',');
}
