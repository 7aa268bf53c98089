import type { ChangeVersion } from './change-version.js';

/**
 * A column's value as a source hands it out: instants are text in UTC (`2026-01-31T23:45:00.000Z`), decimals are text,
 * integers beyond 2^53 are `bigint`, binary is bytes.
 */
export type ColumnValue = string | number | bigint | boolean | Uint8Array | null;

/** A row, column by column. */
export type Row = Readonly<Record<string, ColumnValue>>;

/** The primary key's columns of a row, in the order of the key. */
export type PrimaryKey = Readonly<Record<string, ColumnValue>>;

/** `snapshot` = the row as a bootstrap or resync found it; inserted and updated rows are both `upsert`. */
export type ChangeOperation = 'upsert' | 'delete' | 'snapshot';

/** The net change of one row since the reader's position: intermediate values are not told. */
export interface RowChange {
  /** Names the database (stable, explicit). */
  readonly source: string;
  /** The table as configured, `schema.name`. */
  readonly table: string;
  readonly operation: ChangeOperation;
  readonly primaryKey: PrimaryKey;
  readonly version: ChangeVersion;
  /** Columns that changed; `null` = unknown or all. */
  readonly changedColumns: readonly string[] | null;
  /** The current row; `null` for `delete`, or when the row is gone again. */
  readonly row: Row | null;
  /** Who wrote, as the writer's change context says; `null` = unknown. */
  readonly origin: string | null;
  /** The trace in which it was written, as W3C's `traceparent`, for links; left out or `null` = unknown. */
  readonly traceparent?: string | null | undefined;
  /** Commit time in milliseconds since the Unix epoch; `null` where the source cannot tell. */
  readonly committedAtMs: number | null;
}
