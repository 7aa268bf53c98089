import { EpochNotRaisedError } from '../cdc.errors.js';
import type { RowChange } from '../change/row-change.js';

/** What is known of a tracked table before anything is read from it. */
export interface TableDescription {
  readonly table: string;
  /** In the order of the key. Never empty. */
  readonly primaryKey: readonly string[];
  readonly columns: readonly string[];
  /** Changes when columns or key change. */
  readonly schemaHash: string;
}

/** A table's tracking state: `null` versions mean that the table is not tracked (any more). */
export interface TableState {
  readonly table: string;
  /** Identity of the table object: another one means dropped and created again. */
  readonly objectId: string;
  /** Where tracking of this table began; truncate and re-enable move it. */
  readonly beginVersion: bigint;
  /** Changes at or below are cleaned up: a reader whose position is below must resync. */
  readonly minValidVersion: bigint;
  /**
   * Another one since the table's definition was changed: a source that tells it is asked for the description then, and seldom else. Left out: it is asked once per
   * heartbeat interval.
   */
  readonly definition?: string | undefined;
}

/** One cheap look at the database: all tables in one round trip. */
export interface SourceState {
  readonly epoch: bigint;
  /** The version of the last commit. */
  readonly currentVersion: bigint;
  readonly tables: ReadonlyMap<string, TableState | null>;
  /** How long the database keeps changes, in milliseconds; left out or `null` where it does not say. */
  readonly retentionMs?: number | null | undefined;
}

/**
 * What a failure calls for. `outage`: growing delays. `overload`: longer ones. `contention`: at once again, a few times. `timeout`: fewer
 * rows at a time. `configuration`: somebody must change something; it is looked at again each minute, and told at once. `unrecognised`: the
 * server refused, and nobody knows why; as `outage` at first, and from the third time in a row on a table on as `configuration`.
 */
export type FailureKind = 'outage' | 'overload' | 'contention' | 'timeout' | 'configuration' | 'unrecognised';

/** The place inside an unfinished version: everything up to (version, key) is handed off. */
export interface ChangeCursor {
  readonly version: bigint;
  /** The primary key's position, in the source's own sortable or parsable text. */
  readonly key: string;
}

/** Which page to read. */
export interface PageRequest {
  readonly table: string;
  /** The last version that is handed off whole. */
  readonly after: bigint;
  readonly cursor: ChangeCursor | null;
  /** Largest number of changes. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** A page of changes, ordered by (version, primary key), read from one snapshot. */
export interface ChangePage {
  readonly epoch: bigint;
  /** The version of the snapshot: every change at or below it is in this or an earlier page, or after its last one. */
  readonly upperVersion: bigint;
  readonly state: TableState;
  readonly changes: readonly RowChange[];
  /** Aligned with `changes`. */
  readonly cursors: readonly ChangeCursor[];
}

/** Which chunk of the table itself to read. */
export interface ChunkRequest {
  readonly table: string;
  /** The last key read, in the source's own text; `null` = from the start. */
  readonly afterKey: string | null;
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** Rows of the table in the order of the primary key, read in one short transaction. */
export interface TableChunk {
  readonly rows: readonly Pick<RowChange, 'primaryKey' | 'row'>[];
  /** The last key of the chunk; `null` when it is empty. */
  readonly lastKey: string | null;
}

/**
 * Where changes come from, as a port.
 *
 * An implementer guarantees: a page holds committed changes only, at most one per primary key, each with the row as of the
 * page's snapshot; a change is missing from a page only if its version is above `upperVersion` or it sorts after the page's last
 * row; a row leaves the log only towards higher versions, never behind a cursor. Versions grow with commit order.
 */
export abstract class ChangeSource {
  /** Names the database in changes, checkpoints and stamps. Stable and explicit. */
  abstract readonly name: string;

  /** @throws `TableNotTrackedError` and its kin, naming the table and the remedy. */
  abstract describe(table: string): Promise<TableDescription>;
  abstract state(tables: readonly string[]): Promise<SourceState>;
  abstract readPage(request: PageRequest): Promise<ChangePage>;
  abstract readChunk(request: ChunkRequest): Promise<TableChunk>;

  /**
   * Begins a new epoch because the counter went back inside `from`: compare-and-set, so that of several readers that saw it one raises
   * and the others adopt. A source that keeps its epoch overrides this.
   *
   * @param _atLeast what a copy of the epoch outside of the database has decided already: it is taken over.
   * @returns the epoch that holds now, above `from`.
   * @throws {@link EpochNotRaisedError} when this source cannot.
   */
  raiseEpoch(from: bigint, _atLeast?: bigint): Promise<bigint> {
    return Promise.reject(new EpochNotRaisedError(this.name, from));
  }

  /** What an error calls for that this source threw, or another part on its database. A source that knows nothing better keeps this. */
  failureOf(_error: unknown): FailureKind {
    return 'outage';
  }

  /** Releases what the source itself opened. Idempotent. */
  abstract close(): Promise<void>;
}
