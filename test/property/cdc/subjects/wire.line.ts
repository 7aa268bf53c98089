import { type ChangeVersion, type Row, type Stamped, StampedReader } from '@smartpulse/cdc';
import {
  MssqlPool,
  type SqlServerAnswer,
  sqlServerDataSource,
  SqlServerPool,
  SqlServerStampedReader,
  type SqlServerStatement,
  SqlServerStatements,
} from '@smartpulse/cdc/sql-server';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource, EntityManager } from 'typeorm';
import type { SqlServerEngine } from '../../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer } from '../../../support/sql-server/start-sql-server.js';
import { BOOKKEEPING, type Line, SOURCE } from './line.js';
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
  const newPool = () => {
    const pool = new CountingPool(
      new MssqlPool({
        target: {
          server: server.host,
          port: server.port,
          database: SOURCE,
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
  };
  const url = `mssql://sa:any@${server.host}:${server.port}/${SOURCE}?encrypt=false`;
  const template = new DataSource(sqlServerDataSource({ name: 'reader', url, entities: [] }));
  const stamped = new SqlServerStampedReader(new SqlServerStatements({ ...BOOKKEEPING, pool: newPool() }), template, {
    poolSize: 2,
  });
  const reader = new CountingReader(stamped);
  if (clock instanceof WireClock) {
    clock.onTheWire = () =>
      reader.running + pools.reduce((sum, { running }) => sum + running, 0) - engine.waitingSessions - storm.holding;
  }
  return {
    reader,
    rows: async (manager, { name }) => {
      if (!(manager instanceof EntityManager)) {
        throw new TypeError("TypeORM's manager is what reads.");
      }
      const rows: readonly Row[] = await manager.query(`SELECT * FROM ${name};`);
      return rows;
    },
    pool: newPool,
    cut: () => server.cut(),
    close: async () => {
      await stamped.close();
      await Promise.all(pools.map((pool) => pool.closed()));
      await server.stop();
    },
  };
}

/** How many reads are under way, their connections and transactions with them. */
class CountingReader extends StampedReader<EntityManager> {
  override readonly isolation: 'snapshot' | 'statement';
  running = 0;

  constructor(private readonly reader: StampedReader<EntityManager>) {
    super();
    this.isolation = reader.isolation;
  }

  override async read<T>(work: (manager: EntityManager) => Promise<T>): Promise<Stamped<T>> {
    this.running += 1;
    try {
      return await this.reader.read(work);
    } finally {
      this.running -= 1;
    }
  }

  override current(): Promise<ChangeVersion> {
    return this.reader.current();
  }
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
