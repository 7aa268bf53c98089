import { MssqlPool, type SqlServerAnswer, SqlServerPool, type SqlServerStatement } from '@smartpulse/cdc/sql-server';
import { VirtualClock } from '@smartpulse/resilience/testing';
import type { SqlServerEngine } from '../../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer } from '../../../support/sql-server/start-sql-server.js';
import type { Line } from './sql-server.subject.js';
import type { Storm } from './storm.js';

/** Turns of the event loop that packets get before time goes on without them. */
const MOST_TURNS = 3_000;

/** A clock that stands still while packets are on their way: they need turns of the event loop, not time of the test. */
export class WireClock extends VirtualClock {
  /** How many statements are on the wire, and wait for nothing but it. */
  onTheWire: () => number = () => 0;

  override async settle(): Promise<void> {
    await super.settle();
    for (let turn = 0; turn < MOST_TURNS && this.onTheWire() > 0; turn++) {
      await super.settle();
    }
  }
}

/** Real TDS on loopback and the real driver. */
export async function wireLine(engine: SqlServerEngine, storm: Storm, clock: VirtualClock): Promise<Line> {
  const server = await startTestSqlServer({ engine, faults: storm });
  const pools: CountingPool[] = [];
  if (clock instanceof WireClock) {
    clock.onTheWire = () =>
      pools.reduce((sum, { running }) => sum + running, 0) - engine.waitingSessions - storm.holding;
  }
  return {
    pool: () => {
      const pool = new CountingPool(
        new MssqlPool({
          target: {
            server: server.host,
            port: server.port,
            database: 'shop',
            user: 'sa',
            password: 'any',
            encrypt: false,
          },
          size: 4,
          connectTimeoutMs: 5_000,
          requestTimeoutMs: 5_000,
          applicationName: 'history',
        }),
      );
      pools.push(pool);
      return pool;
    },
    cut: () => server.cut(),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.closed()));
      await server.stop();
    },
  };
}

class CountingPool extends SqlServerPool {
  running = 0;
  readonly #pool: SqlServerPool;
  #closed: Promise<void> | undefined;

  constructor(pool: SqlServerPool) {
    super();
    this.#pool = pool;
  }

  override async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    this.running += 1;
    try {
      return await this.#pool.run(statement, signal);
    } finally {
      this.running -= 1;
    }
  }

  /** The driver waits for statements under way, and those may wait for time to go on: who closes does not wait for that. */
  override close(): Promise<void> {
    void this.closed();
    return Promise.resolve();
  }

  closed(): Promise<void> {
    this.#closed ??= this.#pool.close();
    return this.#closed;
  }
}
