import { EmbeddedStatementError } from '../embedded.errors.js';
import { type StatementKind, statementKind } from '../sql/statement-kind.js';
import { type SqlRow, toSafeNumber, toSqlInput, withSafeNumbers } from '../sql/sql-value.js';
import type { SqliteConnection } from '../sql/sqlite.connection.js';
import type { ChangeLog } from '../tracking/change-log.js';

/** What a statement without rows did. */
export interface RunResult {
  readonly changes: number;
  readonly lastInsertRowid: number | bigint;
}

/**
 * Runs statements of others on the connection, so that every commit passes by the change log: an explicit `COMMIT`, and a single statement
 * outside a transaction, which gets one of its own. Whoever calls it has the turn.
 */
export class StatementRunner {
  readonly #connection: SqliteConnection;
  readonly #log: ChangeLog;
  #schemaTouched = false;

  constructor(connection: SqliteConnection, log: ChangeLog) {
    this.#connection = connection;
    this.#log = log;
  }

  get inTransaction(): boolean {
    return this.#connection.inTransaction;
  }

  isReader(sql: string): boolean {
    return this.#connection.prepare(sql, statementKind(sql) !== 'read').reader;
  }

  all(sql: string, parameters: readonly unknown[], origin: string | null): SqlRow[] {
    const kind = statementKind(sql);
    const values = parameters.map(toSqlInput);
    if (kind !== 'read') {
      return withSafeNumbers(
        this.#within(kind, origin, () => this.#connection.prepare(sql, true).statement.all(...values)),
      );
    }
    try {
      return this.#connection.prepare(sql, false).statement.all(...values);
    } catch (error) {
      if (!isOutOfRange(error)) {
        throw error;
      }
      // Rare, so that ordinary reads need not pay for it: an integer beyond 2^53 is in the result.
      return withSafeNumbers(this.#connection.prepare(sql, true).statement.all(...values));
    }
  }

  run(sql: string, parameters: readonly unknown[], origin: string | null): RunResult {
    const kind = statementKind(sql);
    if (kind === 'commit' && this.#connection.inTransaction) {
      this.#log.commit(origin);
      this.#schemaTouched = false;
      return { changes: 0, lastInsertRowid: 0 };
    }
    const values = parameters.map(toSqlInput);
    return this.#within(kind, origin, () => {
      const { changes, lastInsertRowid } = this.#connection.prepare(sql, true).statement.run(...values);
      return { changes: Number(changes), lastInsertRowid: toSafeNumber(BigInt(lastInsertRowid)) };
    });
  }

  /**
   * Runs `work` in a transaction of its own and commits it; rolls back when it throws.
   *
   * @param numbered `true` (or a function of the result): the commit takes a version although it touched no tracked row.
   */
  transact<T>(origin: string | null, work: () => T, numbered: (result: T) => boolean = () => false): T {
    this.#connection.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      if (numbered(result)) {
        this.#log.commitNumbered(origin);
      } else {
        this.#log.commit(origin);
      }
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /** Runs `work` on one snapshot. */
  snapshot<T>(work: () => T): T {
    this.#connection.exec('BEGIN');
    try {
      return work();
    } finally {
      this.#connection.exec('ROLLBACK');
    }
  }

  /** Ends an open transaction without a trace. */
  rollBack(): void {
    if (this.#connection.inTransaction) {
      this.#connection.exec('ROLLBACK');
      this.#afterRollback();
    }
  }

  /** Lets statements write, or refuses those that would, with SQLite's own error. */
  allowWrites(allowed: boolean): void {
    this.#connection.exec(`PRAGMA query_only = ${allowed ? 'OFF' : 'ON'}`);
  }

  /** Brings back what a migration may have left switched. */
  restorePragmas(): void {
    this.#connection.exec('PRAGMA query_only = OFF; PRAGMA foreign_keys = ON');
  }

  #within<T>(kind: StatementKind, origin: string | null, work: () => T): T {
    if (kind === 'savepoint' && !this.#connection.inTransaction) {
      throw new EmbeddedStatementError(
        'A SAVEPOINT was set outside a transaction.',
        'Begin a transaction first: releasing the outermost savepoint would commit past the change log.',
      );
    }
    const writes = kind === 'write' || kind === 'schema';
    const result = writes && !this.#connection.inTransaction ? this.transact(origin, work) : work();
    if (kind === 'schema') {
      this.#schemaTouched = this.#connection.inTransaction;
      this.#connection.forgetStatements();
    } else if (kind === 'rollback' || kind === 'rollbackTo') {
      this.#afterRollback();
    }
    return result;
  }

  #afterRollback(): void {
    if (this.#schemaTouched) {
      this.#schemaTouched = this.#connection.inTransaction;
      this.#connection.forgetStatements();
    }
  }
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE';
}
