import { createHash } from 'node:crypto';
import type { SqliteConnection } from '../sql/sqlite.connection.js';
import { OWN_PREFIX } from './table-name.js';

/** A column as SQLite describes it. */
export interface ColumnShape {
  readonly name: string;
  /** As declared: SQLite itself would store anything. */
  readonly declaredType: string;
  readonly notNull: boolean;
  /** From 1 in the order of the key; 0 = not in it. */
  readonly keyPosition: number;
  readonly generated: boolean;
}

/** A table as it is now. */
export interface TableShape {
  readonly columns: readonly ColumnShape[];
  /** In the order of the key. */
  readonly primaryKey: readonly string[];
  /** Changes when columns, their types or the key change. */
  readonly schemaHash: string;
}

/** `undefined` when there is no such table. */
export function readTableShape(connection: SqliteConnection, sqliteTable: string): TableShape | undefined {
  const found = connection.get(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE`,
    sqliteTable,
  );
  if (found === undefined) {
    return undefined;
  }
  const columns = connection
    .all('SELECT name, type, "notnull" AS required, pk, hidden FROM pragma_table_xinfo(?)', sqliteTable)
    // 1 = a hidden column of a virtual table; 2 and 3 = generated.
    .filter((column) => column['hidden'] !== 1n)
    .map((column): ColumnShape => ({
      name: String(column['name']),
      declaredType: String(column['type']),
      notNull: column['required'] === 1n,
      keyPosition: Number(column['pk']),
      generated: column['hidden'] !== 0n,
    }));
  const primaryKey = columns
    .filter((column) => column.keyPosition > 0)
    .sort((a, b) => a.keyPosition - b.keyPosition)
    .map((column) => column.name);
  const schemaHash = createHash('sha256')
    .update(JSON.stringify(columns.map(({ name, declaredType, keyPosition }) => [name, declaredType, keyPosition])))
    .digest('base64url')
    .slice(0, 22);
  return { columns, primaryKey, schemaHash };
}

/** The names of the triggers that track a table, as far as they are there. */
export function trackingTriggers(connection: SqliteConnection, sqliteTable: string): ReadonlyMap<string, string> {
  const rows = connection.all(
    `SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE AND name LIKE '${OWN_PREFIX}%'`,
    sqliteTable,
  );
  return new Map(rows.map((row) => [String(row['name']), String(row['sql'])]));
}
