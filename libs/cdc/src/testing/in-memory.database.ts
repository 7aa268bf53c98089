import { Buffer } from 'node:buffer';
import type { ColumnValue, PrimaryKey, Row } from '../change/row-change.js';
import type { TableDescription, TableState } from '../source/change.source.js';

/** A table as the in-memory database is told about it. */
export interface InMemoryTable {
  /** `schema.name`. */
  readonly table: string;
  readonly primaryKey: readonly string[];
  /** Default: the key's columns. */
  readonly columns?: readonly string[] | undefined;
}

/** The net change of one row: the latest version only. */
export interface LogEntry {
  readonly key: string;
  readonly primaryKey: PrimaryKey;
  readonly version: bigint;
  readonly origin: string | null;
  readonly committedAtMs: number | null;
}

/** What a transaction may do. */
export interface InMemoryTransaction {
  upsert(table: string, row: Row): void;
  delete(table: string, primaryKey: PrimaryKey): void;
}

/** One table: its rows and its log. */
export class TrackedTable {
  readonly primaryKey: readonly string[];
  columns: readonly string[];
  rows = new Map<string, Row>();
  log = new Map<string, LogEntry>();
  objectId: number;
  beginVersion: bigint;
  minValidVersion: bigint;
  tracked = true;

  constructor(
    readonly name: string,
    definition: InMemoryTable,
    objectId: number,
    version: bigint,
  ) {
    this.primaryKey = definition.primaryKey;
    this.columns = definition.columns ?? definition.primaryKey;
    this.objectId = objectId;
    this.beginVersion = version;
    this.minValidVersion = version;
  }

  state(): TableState {
    const { name: table, beginVersion, minValidVersion } = this;
    return { table, objectId: String(this.objectId), beginVersion, minValidVersion };
  }

  description(): TableDescription {
    const { name: table, primaryKey, columns } = this;
    return { table, primaryKey, columns, schemaHash: JSON.stringify([primaryKey, columns]) };
  }

  primaryKeyOf(row: Row): PrimaryKey {
    return Object.fromEntries(this.primaryKey.map((column) => [column, row[column] ?? null]));
  }

  /** The key's place in the order of the primary key, as text. */
  keyOf(primaryKey: PrimaryKey): string {
    return this.primaryKey.map((column) => sortable(primaryKey[column] ?? null)).join('\u0001');
  }

  /** A copy that shares nothing that changes. */
  copy(): TrackedTable {
    const { primaryKey, columns } = this;
    const copied = new TrackedTable(
      this.name,
      { table: this.name, primaryKey, columns },
      this.objectId,
      this.beginVersion,
    );
    copied.rows = new Map(this.rows);
    copied.log = new Map(this.log);
    copied.minValidVersion = this.minValidVersion;
    copied.tracked = this.tracked;
    return copied;
  }
}

const OFFSET = 2n ** 63n;

/** Text whose order is the value's: whole numbers by size, text by code unit. */
function sortable(value: ColumnValue): string {
  if (typeof value === 'bigint' || typeof value === 'number') {
    return (BigInt(value) + OFFSET).toString().padStart(20, '0');
  }
  if (typeof value === 'string') {
    return value;
  }
  if (typeof value === 'boolean') {
    return value ? '1' : '0';
  }
  return value === null ? '' : Buffer.from(value).toString('hex');
}
