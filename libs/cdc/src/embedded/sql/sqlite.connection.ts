import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { EmbeddedFileError, EmbeddedFileInUseError, EmbeddedStatementError } from '../embedded.errors.js';
import { type SqlRow, type SqlValue, toSqlInput } from './sql-value.js';

/** How many prepared statements are kept. */
const STATEMENT_CACHE_SIZE = 500;
/** Longer texts (bulk inserts of varying length) are prepared each time rather than kept. */
const CACHED_SQL_LENGTH = 100_000;
const SQLITE_BUSY = 5;
/** White space, semicolons and comments. */
const NOTHING = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))*$/;

/** A prepared statement and whether it answers rows. */
export interface PreparedStatement {
  readonly statement: StatementSync;
  readonly reader: boolean;
}

/** What the connection is opened with. */
export interface SqliteFile {
  readonly name: string;
  readonly file: string;
  readonly synchronous: 'full' | 'normal';
}

/** The one `node:sqlite` connection and its prepared statements. Whoever calls it has the turn. */
export class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, PreparedStatement>();

  /**
   * @throws EmbeddedFileInUseError
   * @throws EmbeddedFileError
   */
  constructor(options: SqliteFile) {
    this.#database = openFile(options);
    try {
      // recursive_triggers: without it, a row that INSERT OR REPLACE removes fires no delete trigger and its delete is never told.
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE');
      this.#database.exec('PRAGMA journal_mode = WAL');
      this.#database.exec(`PRAGMA synchronous = ${options.synchronous}`);
      this.#database.exec('PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; PRAGMA temp_store = MEMORY');
      // Takes the file's lock now, so that a second opener is refused at once and not in its first transaction.
      this.#database.exec('BEGIN IMMEDIATE; COMMIT');
    } catch (error) {
      this.#database.close();
      throw isBusy(error)
        ? new EmbeddedFileInUseError(options.name, error)
        : new EmbeddedFileError(options.name, options.file, error);
    }
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /**
   * @param bigIntegers whether integers are answered as `bigint`.
   * @throws EmbeddedStatementError when the text holds another statement: SQLite would leave it out without a word.
   */
  prepare(sql: string, bigIntegers: boolean): PreparedStatement {
    const cacheKey = bigIntegers ? `b${sql}` : `n${sql}`;
    const cached = this.#statements.get(cacheKey);
    if (cached !== undefined) {
      // The order of a Map is that of insertion: the statement used last goes to the end.
      this.#statements.delete(cacheKey);
      this.#statements.set(cacheKey, cached);
      return cached;
    }
    const statement = this.#database.prepare(sql);
    if (!NOTHING.test(sql.slice(statement.sourceSQL.length))) {
      throw new EmbeddedStatementError(
        'A text holds more than one statement, of which SQLite would run only the first.',
        'Run each of them by a query of its own, in one transaction if they belong together.',
      );
    }
    statement.setReadBigInts(bigIntegers);
    const prepared = { statement, reader: statement.columns().length > 0 };
    if (sql.length <= CACHED_SQL_LENGTH) {
      this.#statements.set(cacheKey, prepared);
      if (this.#statements.size > STATEMENT_CACHE_SIZE) {
        for (const oldest of this.#statements.keys()) {
          this.#statements.delete(oldest);
          break;
        }
      }
    }
    return prepared;
  }

  /** Forgets prepared statements: after a change of the schema. */
  forgetStatements(): void {
    this.#statements.clear();
  }

  /** Rows with integers as `bigint`. */
  all(sql: string, ...parameters: readonly unknown[]): SqlRow[] {
    return this.prepare(sql, true).statement.all(...parameters.map(toSqlInput));
  }

  /** The first row, integers as `bigint`. */
  get(sql: string, ...parameters: readonly unknown[]): SqlRow | undefined {
    return this.prepare(sql, true).statement.get(...parameters.map(toSqlInput));
  }

  /** A lookup to be made many times in this turn: its parameters are values as stored. */
  lookup(sql: string): (values: readonly SqlValue[]) => SqlRow | undefined {
    const { statement } = this.prepare(sql, true);
    return (values) => statement.get(...values);
  }

  /** Answers the number of rows changed. */
  run(sql: string, ...parameters: readonly unknown[]): number {
    return Number(this.prepare(sql, true).statement.run(...parameters.map(toSqlInput)).changes);
  }

  /** Runs one or more statements without parameters. */
  exec(sql: string): void {
    this.#database.exec(sql);
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

function openFile({ name, file }: SqliteFile): DatabaseSync {
  try {
    if (file !== ':memory:') {
      mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    }
    return new DatabaseSync(file);
  } catch (error) {
    throw new EmbeddedFileError(name, file, error);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
