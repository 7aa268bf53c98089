import type { ColumnValue, PrimaryKey, Row } from '../../change/row-change.js';
import type { SqlRow, SqlValue } from '../sql/sql-value.js';
import { type ColumnReader, columnReader } from '../tracking/column-values.js';
import { quoteName } from '../tracking/table-name.js';
import type { TrackedTable } from '../tracking/table-registry.js';

/** Reads rows of one table as changes carry them. */
export class TableReader {
  /** The columns, quoted, for a SELECT. */
  readonly columnSql: string;
  /** The key's columns, quoted. */
  readonly keySql: string;
  readonly #columns: readonly (readonly [string, ColumnReader])[];
  readonly #key: readonly (readonly [string, ColumnReader])[];

  constructor(table: TrackedTable) {
    const { columns, primaryKey } = table.shape;
    this.#columns = columns.map(({ name, declaredType }) => [name, columnReader(declaredType)] as const);
    const readers = new Map(this.#columns);
    this.#key = primaryKey.map((name) => [name, readers.get(name) ?? columnReader('')] as const);
    this.columnSql = columns.map(({ name }) => quoteName(name)).join(', ');
    this.keySql = primaryKey.map(quoteName).join(', ');
  }

  row(stored: SqlRow): Row {
    const row: Record<string, ColumnValue> = {};
    for (const [name, read] of this.#columns) {
      row[name] = read(stored[name] ?? null);
    }
    return row;
  }

  /** The primary key of a row that was read. */
  keyIn(row: Row): PrimaryKey {
    const key: Record<string, ColumnValue> = {};
    for (const [name] of this.#key) {
      key[name] = row[name] ?? null;
    }
    return key;
  }

  /** The primary key of values in the order of the key. */
  key(values: readonly SqlValue[]): PrimaryKey {
    const key: Record<string, ColumnValue> = {};
    for (const [index, [name, read]] of this.#key.entries()) {
      key[name] = read(values[index] ?? null);
    }
    return key;
  }
}
