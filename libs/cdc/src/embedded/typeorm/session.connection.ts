import type { SqlRow } from '../sql/sql-value.js';
import type { RunnerSession } from '../turn/runner-session.js';
import type { RunResult } from '../turn/statement-runner.js';

/** A statement in the shape that TypeORM's `better-sqlite3` query runner expects. */
export interface SessionStatement {
  readonly reader: boolean;
  all(...parameters: readonly unknown[]): SqlRow[];
  run(...parameters: readonly unknown[]): RunResult;
}

/** One caller's view of the connection, in the shape of a `better-sqlite3` database. */
export class SessionConnection {
  readonly #session: RunnerSession;

  constructor(session: RunnerSession) {
    this.#session = session;
  }

  prepare(sql: string): SessionStatement {
    return {
      reader: this.#session.isReader(sql),
      all: (...parameters) => this.#session.all(sql, parameters),
      run: (...parameters) => this.#session.run(sql, parameters),
    };
  }

  pragma(text: string): SqlRow[] {
    return this.#session.all(`PRAGMA ${text}`, []);
  }
}
