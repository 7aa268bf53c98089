import type { Row, StampedReader } from '@smartpulse/cdc';
import type { SqlServerPool } from '@smartpulse/cdc/sql-server';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import type { SqlServerEngine } from '../../../support/sql-server/engine/sql-server.engine.js';
import type { Storm } from './storm.js';
import type { HistoryTable } from './tables.js';

export const SOURCE = 'shop';
/** Where stamps are read from. */
export const BOOKKEEPING = {
  source: SOURCE,
  schema: 'smartpulse',
  lockTimeoutMs: 200,
  createBookkeeping: false,
} as const;

/** How statements come from a process to the engine. */
export interface Line {
  /** Of the app, and what its work asks for rows with. */
  readonly reader: StampedReader;
  readonly rows: (manager: unknown, table: HistoryTable) => Promise<readonly Row[]>;
  readonly pool: () => SqlServerPool;
  readonly cut: () => void;
  readonly close: () => Promise<void>;
}

/** A line for an engine, struck by a storm. */
export type LineMaker = (engine: SqlServerEngine, storm: Storm, clock: VirtualClock) => Promise<Line>;
