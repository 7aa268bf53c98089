import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { checkOptions, type Clock } from '@smartpulse/resilience';
import type { ChangeVersion } from '../change/change-version.js';
import type { KeptLease } from '../leadership/kept-lease.js';
import { InProcessPollSignal } from '../poll/in-process.poll-signal.js';
import type { PollSignal } from '../poll/poll-signal.js';
import { EmbeddedDatabaseClosedError } from './embedded.errors.js';
import {
  type CheckedDatabaseOptions,
  cleanUpSchema,
  type EmbeddedDatabaseOptions,
  embeddedDatabaseSchema,
} from './embedded.options.js';
import { SqliteConnection } from './sql/sqlite.connection.js';
import { ChangeLog } from './tracking/change-log.js';
import { type CleanUpReport, LogSweeper } from './tracking/log-sweeper.js';
import { TableRegistry } from './tracking/table-registry.js';
import { openTracking } from './tracking/tracking.schema.js';
import { nextLoopTurn } from './turn/next-loop-turn.js';
import { RunnerSession } from './turn/runner-session.js';
import { StatementRunner } from './turn/statement-runner.js';
import { Turns } from './turn/turns.js';
import {
  type EmbeddedDataSourceOptions,
  type EmbeddedTypeOrmOptions,
  typeOrmOptions,
} from './typeorm/typeorm-options.js';

/** What adapters of this package read and write with, inside a turn. Not for apps. */
export interface EmbeddedAccess {
  readonly connection: SqliteConnection;
  readonly log: ChangeLog;
  readonly tables: TableRegistry;
}

/**
 * An SQL database inside the process, with change tracking: SQLite by `node:sqlite`, nothing to install. It owns the one connection and the
 * turn on it; every app and replica has a TypeORM data source of its own that borrows them. It is made for trying, for tests and for one
 * small instance: its calls block the event loop for as long as a statement runs, so keep statements to some milliseconds.
 *
 * Every transaction that changes a tracked table gets one version, the next one, in the order of commits; a rolled-back one gets none.
 *
 * @example
 * ```ts
 * const database = EmbeddedDatabase.open({ name: 'forecasts', clock: new SystemClock() });
 * TypeOrmModule.forRoot(database.typeOrmOptions({ name: 'writer', entities: [Forecast], synchronize: true }));
 * await database.enableTracking(['dbo.forecast']); // once the tables are there
 * CdcModule.forRoot(embeddedCdc(database));
 * await database.close(); // after the apps
 * ```
 */
export class EmbeddedDatabase {
  /**
   * Opens or creates the file and our tables in it.
   *
   * @throws ConfigurationError for a wrong option or a file of another format.
   * @throws EmbeddedFileInUseError
   * @throws EmbeddedFileError when the file cannot be opened or is no database.
   */
  static open(options: EmbeddedDatabaseOptions): EmbeddedDatabase {
    return new EmbeddedDatabase(checkOptions('EmbeddedDatabase.open', embeddedDatabaseSchema, options));
  }

  /** Names the database in changes, checkpoints and stamps. */
  readonly name: string;
  /** Time of commits, leases and deadlines. */
  readonly clock: Clock;
  /** The file, or `:memory:`. */
  readonly file: string;
  /** Nudges of writers to trackers, for every app on this database. */
  readonly nudges: PollSignal = new InProcessPollSignal();
  /** Leases that are held now, by resource, for adapters: all replicas on the file are in this process. */
  readonly leases = new Map<string, KeptLease>();
  readonly #logger = new Logger(EmbeddedDatabase.name);
  readonly #connection: SqliteConnection;
  readonly #log: ChangeLog;
  readonly #tables: TableRegistry;
  readonly #statements: StatementRunner;
  readonly #turns: Turns;
  readonly #sweeper: LogSweeper;
  readonly #context = new AsyncLocalStorage<string>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #owners = 0;

  private constructor(options: CheckedDatabaseOptions) {
    this.name = options.name;
    this.clock = options.clock;
    this.file = options.file;
    this.#connection = new SqliteConnection(options);
    try {
      const row = openTracking(this.#connection, this.clock.now(), options.outsideEpoch);
      this.#log = new ChangeLog(this.#connection, this.clock, row);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
    this.#tables = new TableRegistry(this.#connection, this.#log, this.name);
    this.#statements = new StatementRunner(this.#connection, this.#log);
    this.#turns = new Turns(this.clock, { database: this.name, ...options }, (turn) => {
      this.#logger.error(turn.failure?.message ?? 'A turn expired.');
      this.#statements.rollBack();
      this.#statements.restorePragmas();
    });
    this.#sweeper = new LogSweeper({
      ...options,
      database: this.name,
      turns: this.#turns,
      statements: this.#statements,
      log: this.#log,
      closing: this.closing,
    });
  }

  /** The ordinal of the counter's history. */
  get epoch(): bigint {
    return this.#log.epoch;
  }

  /** Whether commits survive the process: a file, not memory. */
  get durable(): boolean {
    return this.file !== ':memory:';
  }

  /** Callers that wait for the connection now. */
  get waitingTurns(): number {
    return this.#turns.waiting;
  }

  /** Aborts when {@link close} is called: what holds leases or timers on this database ends them. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The stamp of the last commit: every commit acknowledged before the call is at or below it. */
  currentVersion(): ChangeVersion {
    return { epoch: this.#log.epoch, version: this.#log.version };
  }

  /**
   * Options for `new DataSource(…)` and `TypeOrmModule.forRoot(…)`: a data source that borrows this connection, one query runner and one
   * turn for every caller. Destroying it only gives the connection back.
   *
   * Inside a transaction use only the manager that it gives you: any other one waits for the turn that you hold. In `transaction(…)` that is
   * an {@link EmbeddedNestedTurnError} after a second; in a transaction of a query runner of your own, the end of your turn at its deadline.
   */
  typeOrmOptions(options: EmbeddedDataSourceOptions): EmbeddedTypeOrmOptions {
    return typeOrmOptions(
      {
        file: this.file,
        database: this,
        session: (owner) => this.#session(owner),
        checkOpen: () => this.#checkOpen(),
      },
      options,
    );
  }

  /**
   * Tracks changes of `tables` (`dbo.forecast` stands for the table `forecast`). Call it at every start, after the schema is synchronised:
   * it does nothing where all is in place, and begins anew where a table was created again.
   *
   * @throws TableNotFoundError
   * @throws PrimaryKeyMissingError
   * @throws EmbeddedTableNameError
   */
  async enableTracking(tables: readonly string[]): Promise<void> {
    await this.#transact(
      'enableTracking',
      ({ tables: registry }) => tables.map((table) => registry.enable(table)),
      (outcomes) => outcomes.includes('begun'),
    );
  }

  /** Ends tracking and forgets the log of `tables`; those that are not tracked are left alone. */
  async disableTracking(tables: readonly string[]): Promise<void> {
    await this.#transact(
      'disableTracking',
      ({ tables: registry }) => tables.map((table) => registry.disable(table)),
      (outcomes) => outcomes.includes(true),
    );
  }

  /**
   * Empties a tracked table without telling a change, as TRUNCATE does on SQL Server: tracking begins anew, so its readers read the
   * table again.
   */
  async truncate(table: string): Promise<void> {
    await this.#transact(
      'truncate',
      ({ tables }) => tables.truncate(table),
      () => true,
    );
  }

  /**
   * Forgets changes that are older than `retentionMs`, in steps of some milliseconds. The database does so by itself, a little at a time
   * as commits come (option `retentionMs`).
   *
   * @throws ConfigurationError when `retentionMs` is no whole number of milliseconds, 0 or more.
   */
  async cleanUp(options: { readonly retentionMs: number }): Promise<CleanUpReport> {
    const { retentionMs } = checkOptions('EmbeddedDatabase.cleanUp', cleanUpSchema, options);
    return this.#sweeper.sweep(retentionMs);
  }

  /**
   * Begins a new epoch because the counter may have gone back. Compare-and-set: of several callers that saw `from`, one raises it and
   * the others get what it became.
   *
   * @param atLeast what a copy outside of the file has decided already: it is taken over.
   */
  async raiseEpoch(from: bigint, atLeast?: bigint): Promise<bigint> {
    const turn = await this.#turns.take(`${this.name}: raiseEpoch`);
    try {
      const epoch = this.#statements.transact(null, () => {
        const raised = this.#log.raiseEpoch(from, atLeast);
        this.#connection.run('UPDATE smartpulse_database SET epoch = ?', raised);
        return raised;
      });
      // Within the turn: whoever comes next must not see the old one.
      this.#log.adoptEpoch(epoch);
      return epoch;
    } finally {
      turn.giveBack();
    }
  }

  /** Every transaction that begins inside `work` carries `origin` in its changes: who wrote. */
  withChangeContext<T>(origin: string, work: () => T): T {
    return this.#context.run(origin, work);
  }

  /**
   * Waits for the turns that were asked for, then closes the connection; refuses later ones with {@link EmbeddedDatabaseClosedError}.
   * Idempotent. Close it after the apps.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** One snapshot in one turn, for adapters. */
  async read<T>(holder: string, work: (access: EmbeddedAccess) => T): Promise<T> {
    const turn = await this.#turns.take(`${this.name}: ${holder}`);
    try {
      return this.#statements.snapshot(() => work(this.#access()));
    } finally {
      turn.giveBack();
    }
  }

  /**
   * As {@link read}, for work of many rows: it awaits `pause` between steps of some milliseconds, in which the event loop turns while the
   * snapshot and the turn are kept.
   *
   * @throws EmbeddedTurnExpiredError from `pause`.
   */
  async readInSteps<T>(
    holder: string,
    work: (access: EmbeddedAccess, pause: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const turn = await this.#turns.take(`${this.name}: ${holder}`);
    const pause = async (): Promise<void> => {
      await nextLoopTurn();
      if (turn.failure !== undefined) {
        throw turn.failure;
      }
    };
    try {
      this.#connection.exec('BEGIN');
      return await work(this.#access(), pause);
    } finally {
      if (turn.isHeld) {
        this.#statements.rollBack();
      }
      turn.giveBack();
    }
  }

  /** One transaction in one turn, for adapters. */
  write<T>(holder: string, work: (access: EmbeddedAccess) => T): Promise<T> {
    return this.#transact(holder, work, () => false);
  }

  /** A name that no other owner on this database object has, for adapters. */
  nextOwner(): string {
    this.#owners += 1;
    return `${this.name}#${this.#owners}`;
  }

  async #transact<T>(
    holder: string,
    work: (access: EmbeddedAccess) => T,
    numbered: (result: T) => boolean,
  ): Promise<T> {
    const turn = await this.#turns.take(`${this.name}: ${holder}`);
    try {
      return this.#statements.transact(this.#context.getStore() ?? null, () => work(this.#access()), numbered);
    } finally {
      turn.giveBack();
    }
  }

  #access(): EmbeddedAccess {
    return { connection: this.#connection, log: this.#log, tables: this.#tables };
  }

  #session(owner: string): RunnerSession {
    return new RunnerSession(
      {
        database: this.name,
        turns: this.#turns,
        statements: this.#statements,
        origin: () => this.#context.getStore() ?? null,
        committed: () => this.#sweeper.committed(),
      },
      owner,
    );
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) {
      throw new EmbeddedDatabaseClosedError(this.name);
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort(new EmbeddedDatabaseClosedError(this.name));
    await this.#turns.close();
    this.#connection.close();
  }
}
