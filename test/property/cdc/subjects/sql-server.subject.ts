import type { Checkpoint, SourceState } from '@smartpulse/cdc';
import {
  type SqlServerAnswer,
  sqlServerCdc,
  type SqlServerCdcOptions,
  type SqlServerCdcParts,
  SqlServerPool,
  type SqlServerStatement,
} from '@smartpulse/cdc/sql-server';
import type { SyncRead } from '@smartpulse/data-sync';
import { Clock, type Timer } from '@smartpulse/resilience';
import { SeededRandom, type VirtualClock } from '@smartpulse/resilience/testing';
import { ask } from '../../../support/sql-server/engine/direct/ask.js';
import { DirectPool } from '../../../support/sql-server/engine/direct/direct-pool.js';
import type { DirectTransaction } from '../../../support/sql-server/engine/direct/direct-transaction.js';
import type { TestDatabase } from '../../../support/sql-server/engine/direct/test-database.js';
import { SqlServerEngine } from '../../../support/sql-server/engine/sql-server.engine.js';
import { BatchCache } from '../../../support/sql-server/engine/sql/parse/batch-cache.js';
import type { EngineSession } from '../../../support/sql-server/engine/sql/run/engine.session.js';
import type { DatabaseImage } from '../../../support/sql-server/engine/storage/database.js';
import { LockConflict } from '../../../support/sql-server/engine/storage/locks.js';
import { BIGINT, INT, nvarchar } from '../../../support/sql-server/engine/values/value-type.js';
import type { Process } from '../process.js';
import { directLine } from './direct.line.js';
import { type Line, type LineMaker, SOURCE } from './line.js';
import { PromptClock } from './prompt.clock.js';
import { Storm } from './storm.js';
import {
  byKey,
  CONSUMER,
  type Deed,
  type Look,
  OTHER_TABLE,
  type ReplicaParts,
  type StatementTwin,
  Subject,
  type SubjectOptions,
  type Truth,
  valuesByKey,
  type Write,
} from './subject.js';
import type { HistoryTable } from './tables.js';

const LEASES = 'smartpulse.cdc_lease';
const LONG_AGO = '2000-01-01 00:00:00.0000000';
const LEASE_TTL_MS = 1_000;
const OTHER = {
  name: OTHER_TABLE,
  columns: { id: BIGINT, value: INT },
  primaryKey: ['id'],
  tracking: 'columns',
} as const;

/** The server's clock, which somebody may set. */
class DatabaseClock extends Clock {
  offsetMs = 0;

  constructor(private readonly clock: Clock) {
    super();
  }

  override now(): number {
    return this.clock.now() + this.offsetMs;
  }

  override monotonic(): number {
    return this.clock.monotonic();
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    return this.clock.setTimer(delayMs, callback);
  }
}

/** The database to its backups, or its clock: fences and epochs count on one of them. */
export type WhatGoesBack = 'database' | 'clock';

/** How a subject is made. */
export interface SqlServerSubjectOptions {
  readonly goesBack: WhatGoesBack;
  /** Default: without packets. */
  readonly line?: LineMaker;
  readonly clock?: () => VirtualClock;
}

/** SQL Server's change tracking: the parts of `sqlServerCdc` on the engine of the test server. */
export class SqlServerSubject extends Subject {
  override readonly leaseTtlMs = LEASE_TTL_MS;
  readonly #storm: Storm;
  readonly #serverClock: DatabaseClock;
  readonly #engine: SqlServerEngine;
  readonly #database: TestDatabase;
  readonly #observing: SqlServerPool;
  readonly #observer: SqlServerCdcParts;
  readonly #pools = new Map<Process, { readonly pool: SqlServerPool; readonly owner: string }>();
  #line!: Line;
  #writer: EngineSession | undefined;
  #backup: DatabaseImage | undefined;
  #cleanUpIsToCome = false;
  #columns = 0;
  #epochOfBackup = -1n;
  #restoredAtMs = Number.NEGATIVE_INFINITY;
  #replicas = 0;

  private constructor(
    options: SubjectOptions,
    override readonly clock: VirtualClock,
    batches: BatchCache,
    private readonly goesBack: WhatGoesBack,
  ) {
    super(options);
    this.#storm = new Storm(options, clock);
    this.#serverClock = new DatabaseClock(clock);
    this.#engine = new SqlServerEngine({ clock: this.#serverClock, random: new SeededRandom(1), batches });
    this.#database = this.#engine.createDatabase(SOURCE);
    this.#database.track();
    this.#database.allowSnapshotIsolation = true;
    options.tables.forEach((table) => this.#database.createTable(made(table)));
    this.#database.createTable(OTHER);
    this.#observing = new DirectPool({ engine: this.#engine, database: SOURCE, size: 1 });
    this.#observer = this.#parts(this.#observing, clock, { createBookkeeping: true });
  }

  static maker({ goesBack, line = directLine, clock = () => new PromptClock() }: SqlServerSubjectOptions) {
    const batches = new BatchCache();
    return async (options: SubjectOptions): Promise<SqlServerSubject> => {
      const subject = new SqlServerSubject(options, clock(), batches, goesBack);
      // Adds the bookkeeping.
      await subject.checkpoint(subject.someTable());
      subject.#line = await line(subject.#engine, subject.#storm, subject.clock);
      return subject;
    };
  }

  override get deeds(): readonly Deed[] {
    const database = this.#database;
    const { random } = this.options;
    return [
      {
        name: 'clean-ups',
        weight: 6,
        strike: () => database.cleanUp(BigInt(random.int(Number(database.version) + 1))),
      },
      { name: 'clean-ups to come', weight: 4, strike: () => this.#cleanUpInsideAPage() },
      { name: 'truncates', weight: 2, strike: () => this.#unlessLocked(() => this.#truncate()) },
      { name: 'tracking off and on', weight: 1, strike: () => this.#unlessLocked(() => this.#reEnable()) },
      { name: 'tables made again', weight: 1, strike: () => this.#unlessLocked(() => this.#makeAgain()) },
      { name: 'columns added', weight: 1, strike: () => this.#addColumn() },
      { name: 'snapshots allowed or not', weight: 2, strike: () => this.#switchSnapshots() },
      { name: 'writers that hold their locks', weight: 6, strike: () => this.#writeSlowly() },
      { name: 'connections cut', weight: 3, strike: () => this.#line.cut() },
      { name: 'servers away', weight: 2, strike: () => this.#goAway() },
      this.goesBack === 'clock'
        ? { name: 'clocks of the server set', weight: 6, strike: () => this.#setClock() }
        : { name: 'backups and restores', weight: 10, strike: () => this.#restoreOrBackUp() },
    ];
  }

  override commit(writes: readonly Write[]): void {
    this.#unlessLocked(() =>
      this.#database.write((tx) => {
        for (const write of writes) {
          const { table } = write;
          const key = valuesOf(table, write.key);
          if (write.kind === 'upsert') {
            tx.upsert(table.name, { ...key, value: BigInt(write.value) });
          } else if (write.kind === 'delete') {
            tx.delete(table.name, key);
          } else if (!keysIn(tx, table).has(write.to)) {
            tx.update(table.name, key, { ...valuesOf(table, write.to), value: BigInt(write.value) });
          }
        }
      }),
    );
  }

  override commitElsewhere(): void {
    this.#unlessLocked(() => this.#database.write((tx) => tx.upsert(OTHER_TABLE, { id: 1n, value: 1n })));
  }

  override replica(process: Process): ReplicaParts {
    const pool = this.#line.pool();
    this.#replicas += 1;
    const owner = `replica${this.#replicas}`;
    this.#pools.set(process, { pool, owner });
    const gated = new GatedPool(process, pool, this.options.statementTwin);
    const parts = this.#parts(gated, process.clock, { owner });
    const { source, checkpoints, leadership } = parts;
    const close = async (): Promise<void> => {
      await parts.source.close();
      await pool.close();
      this.#pools.delete(process);
    };
    return { source, checkpoints, leadership, close };
  }

  override async crashed(process: Process): Promise<void> {
    const connected = this.#pools.get(process);
    this.#pools.delete(process);
    await connected?.pool.close();
    if (connected !== undefined && this.options.random.next() < 0.7) {
      this.#expireLeaseOf(connected.owner);
    }
  }

  override calmDown(): void {
    this.#storm.goAway(0);
  }

  override seemsQuiet(table: HistoryTable): boolean {
    const row = this.#checkpointRow(table);
    return row?.['phase'] === 'streaming' && row['version'] === this.#database.version;
  }

  override get isolation(): 'snapshot' | 'statement' {
    return this.#line.reader.isolation;
  }

  override read<T>(work: (look: Look) => Promise<T>): Promise<SyncRead<T>> {
    const { reader, rows } = this.#line;
    return this.syncReader(reader).read((manager) =>
      work({
        values: async (table) => valuesByKey(table, await rows(manager, table)),
        pause: (ms) => this.#storm.hold(ms),
        instant: async (table) => {
          const { epoch, version, rows: now } = await this.truth(table);
          return { epoch, version, isOfTheSnapshot: false, values: valuesByKey(table, now.values()) };
        },
      }),
    );
  }

  override async truth(table: HistoryTable): Promise<Truth> {
    const { name } = table;
    const { version } = this.#database;
    return {
      epoch: this.#epoch,
      version,
      minValidVersion: this.#database.trackingOf(name)?.minValidVersion ?? version,
      rows: byKey(table, this.#database.rows(name)),
      log: new Map(this.#database.changes(name, 0n).map((change) => [keyIn(table, change.keyValues), change.version])),
    };
  }

  override get isSetBack(): boolean {
    return this.#epoch === this.#epochOfBackup;
  }

  override async state({ name }: HistoryTable): Promise<SourceState & { readonly schemaHash: string }> {
    const { source } = this.#observer;
    const { schemaHash } = await source.describe(name);
    return { ...(await source.state([name])), schemaHash };
  }

  override checkpoint({ name }: HistoryTable): Promise<Checkpoint | undefined> {
    return this.#observer.checkpoints.load({ consumer: CONSUMER, source: SOURCE, table: name });
  }

  override async fence(table: HistoryTable): Promise<bigint | undefined> {
    return bigintOf(this.#checkpointRow(table)?.['fence']);
  }

  override isWithin(table: HistoryTable, key: number, cursorKey: string): boolean {
    const values: unknown = JSON.parse(cursorKey);
    return Array.isArray(values) && key <= keyIn(table, values);
  }

  override async close(): Promise<readonly string[]> {
    this.#writer?.close();
    await this.#observing.close();
    await this.#line.close();
    const { sessions } = this.#engine;
    return sessions === 0 ? [] : [`${sessions} sessions`];
  }

  #parts(pool: SqlServerPool, clock: Clock, more: Partial<SqlServerCdcOptions>): SqlServerCdcParts {
    return sqlServerCdc({
      name: SOURCE,
      pool,
      clock,
      random: new SeededRandom(this.#replicas),
      leaseTtlMs: LEASE_TTL_MS,
      requestTimeoutMs: LEASE_TTL_MS,
      lockTimeoutMs: 200,
      ...more,
    });
  }

  #checkpointRow({ name }: HistoryTable) {
    return this.#database.rows('smartpulse.cdc_checkpoint').find((row) => row['table_name'] === name);
  }

  get #epoch(): bigint {
    return bigintOf(this.#database.rows('smartpulse.cdc_epoch')[0]?.['epoch']) ?? 0n;
  }

  #unlessLocked(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Error && error.cause instanceof LockConflict)) {
        throw error;
      }
      this.options.note('writers that found a lock');
    }
  }

  /** Between the versions that a page begins with and the rows that it reads. */
  #cleanUpInsideAPage(): void {
    if (this.#cleanUpIsToCome) {
      return;
    }
    this.#cleanUpIsToCome = true;
    const before = (): void => {
      this.#cleanUpIsToCome = false;
      this.options.note('clean-ups inside a page');
      this.#database.cleanUp(BigInt(this.options.random.int(Number(this.#database.version) + 1)));
    };
    this.#engine.faults.add({ matches: /CHANGETABLE/, before });
  }

  /** One that leaves no trace is left out: where nothing was committed since tracking began, begin and counter say the same after it. */
  #truncate(): void {
    const table = this.someTable();
    if (this.#database.trackingOf(table.name)?.beginVersion !== this.#database.version) {
      this.#database.truncate(this.upheave(table));
    }
  }

  #reEnable(): void {
    const name = this.upheave(this.someTable());
    this.#database.disable(name);
    this.#database.enable(name, { columns: true });
  }

  #makeAgain(): void {
    const table = this.someTable();
    this.#database.drop(this.upheave(table));
    this.#database.createTable(made(table));
  }

  async #addColumn(): Promise<void> {
    this.#columns += 1;
    await this.#say(`ALTER TABLE ${this.someTable().name} ADD more${this.#columns} int NULL`);
  }

  #switchSnapshots(): void {
    const allowed = this.options.random.next() < 0.5;
    this.tracksSnapshots &&= allowed;
    this.#database.allowSnapshotIsolation = allowed;
  }

  /** As if its life had passed: the dead do not renew it. */
  #expireLeaseOf(owner: string): void {
    for (const { resource = null, owner: holder } of this.#database.rows(LEASES)) {
      if (String(holder).startsWith(`${owner}/`)) {
        this.#unlessLocked(() =>
          this.#database.write((tx) => tx.update(LEASES, { resource }, { expires_at: LONG_AGO })),
        );
      }
    }
  }

  /** A transaction that stays open for a while. */
  async #writeSlowly(): Promise<void> {
    const session = await this.#login();
    if (this.#writer?.isOpen === true) {
      session.close();
      return;
    }
    this.#writer = session;
    const { name, primaryKey, span } = this.someTable();
    const from = this.options.random.int(span);
    const [column] = primaryKey.toReversed();
    const to = from + Math.ceil(span / 3);
    // Not even for a statement that waits for time to go on.
    const { errors } = await ask(
      session,
      `SET LOCK_TIMEOUT 0; SET XACT_ABORT ON; BEGIN TRANSACTION; UPDATE ${name} SET value = value + 1 WHERE ${column} >= ${from} AND ${column} < ${to}; DELETE FROM ${name} WHERE ${column} = ${to};`,
    );
    if (errors.length > 0) {
      this.options.note('writers that found a lock');
      session.close();
      return;
    }
    const how = this.options.random.next() < 0.3 ? 'ROLLBACK' : 'COMMIT';
    const heldMs = this.options.random.int(300);
    void this.options.onItsWay(async () => {
      await this.clock.sleep(heldMs);
      await this.#endWriter(how, session);
    });
  }

  async #endWriter(how: 'COMMIT' | 'ROLLBACK', writer: EngineSession): Promise<void> {
    if (writer.isOpen) {
      await ask(writer, `IF @@TRANCOUNT > 0 ${how} TRANSACTION;`);
      writer.close();
    }
  }

  /** An administrator says something; what a writer holds is not waited for. */
  async #say(sql: string): Promise<void> {
    const session = await this.#login();
    const { errors } = await ask(session, `SET LOCK_TIMEOUT 0; ${sql}`);
    session.close();
    if (errors.length > 0) {
      this.options.note('writers that found a lock');
    }
  }

  #login(): Promise<EngineSession> {
    return this.#engine.login({
      user: 'sa',
      password: 'any',
      database: SOURCE,
      application: 'writer',
      host: 'here',
      readOnlyIntent: false,
    });
  }

  #goAway(): void {
    this.#storm.goAway(this.options.random.int(500));
    this.#line.cut();
  }

  /** Forwards or backwards, by less or more than a lease lives. */
  #setClock(): void {
    this.leasesTouched += 1;
    this.#serverClock.offsetMs += this.options.random.int(6_000) - 3_000;
  }

  /** A restore takes its time, and nobody is connected meanwhile. Two of them are seconds apart: epochs are given out by the second. */
  #restoreOrBackUp(): void {
    if (
      this.#backup === undefined ||
      this.options.random.next() < 0.2 ||
      this.clock.monotonic() < this.#restoredAtMs + 2_000
    ) {
      this.#backup = this.#database.backup();
      return;
    }
    this.options.note('restores');
    this.#restoredAtMs = this.clock.monotonic();
    this.restores += 1;
    this.leasesTouched += 1;
    this.#database.restore(this.#backup);
    this.#epochOfBackup = this.#epoch;
    this.#line.cut();
    this.#storm.goAway(1 + this.options.random.int(200));
  }
}

/** The statements of one process, as long as it lives. */
class GatedPool extends SqlServerPool {
  constructor(
    private readonly process: Process,
    private readonly pool: SqlServerPool,
    private readonly twin: StatementTwin = (statement) => statement,
  ) {
    super();
  }

  override run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    return this.process.alive(() => this.pool.run(this.twin(statement), signal));
  }

  override close(): Promise<void> {
    return this.pool.close();
  }
}

function made({ name, primaryKey, texts }: HistoryTable) {
  const keys = primaryKey.map((column) => [column, texts.includes(column) ? nvarchar(10) : BIGINT] as const);
  return { ...OTHER, name, primaryKey, columns: { ...Object.fromEntries(keys), value: INT } };
}

/** The engine's whole numbers are `bigint`. */
function valuesOf({ primaryKeyOf }: HistoryTable, key: number): Readonly<Record<string, string | bigint>> {
  const values = Object.entries(primaryKeyOf(key));
  return Object.fromEntries(
    values.map(([column, value]) => [column, typeof value === 'number' ? BigInt(value) : value]),
  );
}

/** The key of values in the order of the primary key. */
function keyIn({ primaryKey, keyOf }: HistoryTable, values: readonly unknown[]): number {
  return keyOf(Object.fromEntries(primaryKey.map((column, index) => [column, String(values[index])])));
}

function keysIn(tx: DirectTransaction, table: HistoryTable): ReadonlySet<number> {
  const keys = new Set<number>();
  tx.updateEach(table.name, (row) => {
    keys.add(
      keyIn(
        table,
        table.primaryKey.map((column) => row[column]),
      ),
    );
    return undefined;
  });
  return keys;
}

function bigintOf(value: unknown): bigint | undefined {
  return typeof value === 'bigint' ? value : undefined;
}
