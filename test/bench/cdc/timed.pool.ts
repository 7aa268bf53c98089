import { SqlServerPool } from '@smartpulse/cdc/sql-server';
import type { SqlServerAnswer, SqlServerStatement } from '@smartpulse/cdc/sql-server';

/** Passes statements on and remembers by their name how long each took. */
export class TimedPool extends SqlServerPool {
  readonly #pool: SqlServerPool;
  #timesMs = new Map<string, number[]>();

  constructor(pool: SqlServerPool) {
    super();
    this.#pool = pool;
  }

  override async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    const startedMs = performance.now();
    try {
      return await this.#pool.run(statement, signal);
    } finally {
      const known = this.#timesMs.get(statement.name);
      if (known === undefined) {
        this.#timesMs.set(statement.name, [performance.now() - startedMs]);
      } else {
        known.push(performance.now() - startedMs);
      }
    }
  }

  override close(): Promise<void> {
    return this.#pool.close();
  }

  /** What ran since it was asked last: milliseconds of each statement, by name. */
  take(): ReadonlyMap<string, readonly number[]> {
    const taken = this.#timesMs;
    this.#timesMs = new Map();
    return taken;
  }
}
