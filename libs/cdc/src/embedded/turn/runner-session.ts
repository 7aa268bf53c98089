import { EmbeddedStatementError, EmbeddedTransactionLostError } from '../embedded.errors.js';
import { statementKind } from '../sql/statement-kind.js';
import type { SqlRow } from '../sql/sql-value.js';
import type { RunResult, StatementRunner } from './statement-runner.js';
import type { Turn, Turns } from './turns.js';

/** What a session works on. */
export interface SessionParts {
  readonly database: string;
  readonly turns: Turns;
  readonly statements: StatementRunner;
  /** The change context of the caller. */
  readonly origin: () => string | null;
  /** Called at the end of a turn. */
  readonly committed: () => void;
}

/** As much of the first statement as an error shows. */
const HOLDER_SQL_LENGTH = 80;

/**
 * One caller's use of the connection. The turn is taken at the first statement and kept as long as a transaction is open or the session is
 * pinned; a statement outside a transaction gives it back at once, as nothing of it is left on the connection. So a runner that nobody
 * released stops the others only while it has a transaction open, and no longer than the turn's deadline.
 */
export class RunnerSession {
  readonly #parts: SessionParts;
  readonly #owner: string;
  #taking: Promise<Turn> | undefined;
  #turn: Turn | undefined;
  #users = 0;
  #pinned = false;
  #readOnly = false;
  #inTransaction = false;
  #failure: Error | undefined;
  #origin: string | null = null;

  /** @param owner names the caller in errors: its data source. */
  constructor(parts: SessionParts, owner: string) {
    this.#parts = parts;
    this.#owner = owner;
  }

  /** Why the open transaction is gone; until it is rolled back, its statements are refused. */
  get failure(): Error | undefined {
    return (this.#failure ??= this.#turn?.failure);
  }

  /** Whether it has the turn, or waits for it. */
  get isEngaged(): boolean {
    return this.#taking !== undefined;
  }

  /** Runs `work`, which runs `sql` by {@link all} or {@link run}, within the turn. */
  async within<T>(sql: string, work: () => Promise<T>): Promise<T> {
    const failure = this.failure;
    if (failure !== undefined) {
      throw failure;
    }
    this.#users += 1;
    try {
      await this.#enter(sql);
      return await work();
    } finally {
      this.#users -= 1;
      this.#leave();
    }
  }

  all(sql: string, parameters: readonly unknown[]): SqlRow[] {
    return this.#guard(() => this.#parts.statements.all(sql, parameters, this.#origin));
  }

  run(sql: string, parameters: readonly unknown[]): RunResult {
    return this.#guard(() => this.#parts.statements.run(sql, parameters, this.#origin));
  }

  isReader(sql: string): boolean {
    return this.#guard(() => this.#parts.statements.isReader(sql));
  }

  /** Runs what the owner of the open transaction does in it: whoever waits inside it for another turn is told. */
  inside<T>(work: () => T): T {
    return this.#turn === undefined ? work() : this.#parts.turns.inside(this.#turn, work);
  }

  /** Keeps the turn between statements, until {@link unpin}: for switches on the connection that last. */
  pin(): void {
    this.#pinned = true;
  }

  unpin(): void {
    this.#pinned = false;
    this.#leave();
  }

  /** Refuses writes on the connection until the turn ends or {@link writable} is called. */
  readOnly(): void {
    this.#guard(() => this.#parts.statements.allowWrites(false));
    this.#readOnly = true;
  }

  /** Lets statements write again, if the turn is still held. */
  writable(): void {
    if (this.#readOnly && this.#turn?.isHeld === true) {
      this.#parts.statements.allowWrites(true);
    }
    this.#readOnly = false;
  }

  /** Forgets a transaction that is gone already, so that the session can begin another one. */
  acknowledgeFailure(): void {
    this.#failure = undefined;
    this.#turn = undefined;
    this.#taking = undefined;
    this.#inTransaction = false;
    this.#pinned = false;
    this.#readOnly = false;
  }

  /** Rolls back what is open and gives the turn back. Answers whether something was rolled back. */
  end(): boolean {
    const turn = this.#turn;
    const open = turn?.isHeld === true && this.#parts.statements.inTransaction;
    if (turn?.isHeld === true) {
      this.#parts.statements.rollBack();
      this.#parts.statements.restorePragmas();
    }
    this.acknowledgeFailure();
    turn?.giveBack();
    return open;
  }

  async #enter(sql: string): Promise<void> {
    if (this.#turn !== undefined) {
      return;
    }
    const first = this.#taking === undefined;
    this.#taking ??= this.#parts.turns.take(`${this.#owner}: ${shorten(sql)}`);
    try {
      this.#turn = await this.#taking;
    } catch (error) {
      this.#taking = undefined;
      throw error;
    }
    if (first) {
      this.#origin = this.#parts.origin();
    }
  }

  #leave(): void {
    const turn = this.#turn;
    if (this.#users > 0 || this.#pinned || turn === undefined || turn.failure !== undefined) {
      return;
    }
    if (!this.#parts.statements.inTransaction) {
      this.writable();
      this.#turn = undefined;
      this.#taking = undefined;
      this.#parts.committed();
      turn.giveBack();
    }
  }

  #guard<T>(work: () => T): T {
    const failure = this.failure;
    if (failure !== undefined) {
      throw failure;
    }
    if (this.#turn?.isHeld !== true) {
      throw new EmbeddedStatementError(
        'A statement was run on the embedded database outside its turn.',
        'Run it through the query runner, not on the connection.',
      );
    }
    const { statements, database } = this.#parts;
    try {
      const result = work();
      this.#inTransaction = statements.inTransaction;
      return result;
    } catch (error) {
      if (this.#inTransaction && !statements.inTransaction) {
        this.#inTransaction = false;
        this.#failure = new EmbeddedTransactionLostError(database, this.#turn.holder, error);
        throw this.#failure;
      }
      throw error;
    }
  }
}

/** Whether `sql` ends a transaction by rolling it back, whole or in part. */
export function isRollback(sql: string): 'whole' | 'part' | undefined {
  const kind = statementKind(sql);
  return kind === 'rollback' ? 'whole' : kind === 'rollbackTo' ? 'part' : undefined;
}

function shorten(sql: string): string {
  const line = sql.replaceAll(/\s+/g, ' ').trim();
  return line.length <= HOLDER_SQL_LENGTH ? line : `${line.slice(0, HOLDER_SQL_LENGTH)}…`;
}
