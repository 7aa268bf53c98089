import { type ChangeVersion, type Stamped, StampedReader } from '@smartpulse/cdc';
import { SqlServerPool, SqlServerStampedReader, SqlServerStatements } from '@smartpulse/cdc/sql-server';
import { DataSource } from 'typeorm';
import { DirectPool } from '../../../support/sql-server/engine/direct/direct-pool.js';
import type { SqlServerEngine } from '../../../support/sql-server/engine/sql-server.engine.js';

import { BOOKKEEPING, type Line, SOURCE } from './line.js';
import type { Storm } from './storm.js';
import type { HistoryTable } from './tables.js';

/** Without packets and without a driver. */
export async function directLine(engine: SqlServerEngine, storm: Storm): Promise<Line> {
  const pool = () => new DirectPool({ engine, database: SOURCE, size: 4, faults: storm });
  const reading = pool();
  return {
    reader: new DirectReader(reading),
    rows: (manager, table) => rowsOn(manager, table),
    pool,
    cut: () => engine.killSessions(SOURCE),
    close: () => reading.close(),
  };
}

/** TypeORM reads by packets only, so here the data come by a statement of their own, after the one of the stamp. */
class DirectReader extends StampedReader<SqlServerPool> {
  override readonly isolation = 'statement';
  readonly #pool: SqlServerPool;
  readonly #stamps: SqlServerStampedReader;

  constructor(pool: SqlServerPool) {
    super();
    this.#pool = pool;
    const statements = new SqlServerStatements({ ...BOOKKEEPING, pool });
    this.#stamps = new SqlServerStampedReader(statements, new DataSource({ type: 'mssql' }), {
      isolation: 'statement',
    });
  }

  override async read<T>(work: (manager: SqlServerPool) => Promise<T>): Promise<Stamped<T>> {
    const stamp = await this.current();
    return { stamp, value: await work(this.#pool) };
  }

  override current(): Promise<ChangeVersion> {
    return this.#stamps.current();
  }
}

async function rowsOn(manager: unknown, { name, primaryKey }: HistoryTable) {
  if (!(manager instanceof SqlServerPool)) {
    throw new TypeError('Without packets a pool is what reads.');
  }
  const columns = [...primaryKey, 'value'];
  const [rows = []] = await manager.run({
    name: 'rows',
    sql: `SELECT ${columns.join(', ')} FROM ${name};`,
    parameters: [],
  });
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, cell(row[index])])));
}

function cell(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
