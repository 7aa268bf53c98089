import { keyTextSql } from './key-text.js';
import { OWN_PREFIX, quoteName } from './table-name.js';
import type { TableShape } from './table-shape.js';

/** A mask is an SQLite integer: more columns than this are not told apart. */
const MASK_COLUMNS = 62;

/** The columns whose changes a mask tells, in the order of its bits; empty = too many to tell. */
export function maskColumns(shape: TableShape): readonly string[] {
  const columns = shape.columns
    .filter((column) => column.keyPosition === 0 && !column.generated)
    .map(({ name }) => name);
  return columns.length > MASK_COLUMNS ? [] : columns;
}

const LOG = 'smartpulse_change_log (table_id, key, version, operation, changed_mask, mask_since, created_version)';
// The transaction's version: its commit adds one to the counter.
const NEXT = '(SELECT version + 1 FROM smartpulse_database)';

/**
 * The triggers that keep the log, by name. Each writes one row of the log per row changed; what a conflict clause of the statement that
 * fired them (`OR REPLACE`, `OR IGNORE`) cannot touch, as they resolve conflicts by an upsert.
 */
export function trackingTriggerSql(
  tableId: number,
  sqliteTable: string,
  shape: TableShape,
): ReadonlyMap<string, string> {
  const on = quoteName(sqliteTable);
  const key = (row: string): string => keyTextSql(row, shape.primaryKey);
  const same = shape.primaryKey
    .map((column) => `OLD.${quoteName(column)} COLLATE BINARY IS NEW.${quoteName(column)}`)
    .join(' AND ');
  const columns = maskColumns(shape);
  const mask =
    columns.length === 0
      ? shape.columns.length === shape.primaryKey.length
        ? '0'
        : 'NULL'
      : columns
          .map((column, bit) => `((OLD.${quoteName(column)} COLLATE BINARY IS NOT NEW.${quoteName(column)}) << ${bit})`)
          .join(' | ');
  const upsert =
    `INSERT INTO ${LOG} VALUES (${tableId}, ${key('NEW')}, ${NEXT}, 'U', NULL, 0, ${NEXT}) ` +
    `ON CONFLICT (table_id, key) DO UPDATE SET version = excluded.version, operation = 'U', changed_mask = NULL, ` +
    `mask_since = 0, created_version = excluded.version;`;
  const remove =
    `INSERT INTO ${LOG} VALUES (${tableId}, ${key('OLD')}, ${NEXT}, 'D', NULL, 0, NULL) ` +
    `ON CONFLICT (table_id, key) DO UPDATE SET version = excluded.version, operation = 'D', changed_mask = NULL, mask_since = 0;`;
  // A mask holds what changed after mask_since; a reader whose position is before it is told "unknown".
  const change =
    `INSERT INTO ${LOG} VALUES (${tableId}, ${key('NEW')}, ${NEXT}, 'U', ${mask}, 0, NULL) ` +
    `ON CONFLICT (table_id, key) DO UPDATE SET ` +
    `changed_mask = CASE WHEN version = excluded.version THEN changed_mask | excluded.changed_mask ELSE excluded.changed_mask END, ` +
    `mask_since = CASE WHEN version = excluded.version THEN mask_since ELSE version END, ` +
    `version = excluded.version, operation = 'U';`;
  const guard = nullGuard(shape);
  const name = (event: string): string => `${OWN_PREFIX}track_${tableId}_${event}`;
  const trigger = (event: string, when: string, body: string): [string, string] => [
    name(event),
    `CREATE TRIGGER ${quoteName(name(event))} AFTER ${when} BEGIN ${body} END`,
  ];
  return new Map([
    trigger('insert', `INSERT ON ${on}`, guard + upsert),
    trigger('update', `UPDATE ON ${on} WHEN ${same}`, guard + change),
    // A new key is a delete and an insert.
    trigger('rekey', `UPDATE ON ${on} WHEN NOT (${same})`, guard + remove + upsert),
    trigger('delete', `DELETE ON ${on}`, remove),
  ]);
}

/** SQLite lets NULL into a primary key; such rows would have no identity. */
function nullGuard(shape: TableShape): string {
  const [only] = shape.primaryKey;
  const isRowId =
    shape.primaryKey.length === 1 &&
    shape.columns.find(({ name }) => name === only)?.declaredType.toUpperCase() === 'INTEGER';
  const nullable = shape.columns.filter(({ keyPosition, notNull }) => keyPosition > 0 && !notNull);
  if (isRowId || nullable.length === 0) {
    return '';
  }
  const isNull = nullable.map(({ name }) => `NEW.${quoteName(name)} IS NULL`).join(' OR ');
  return `SELECT RAISE(ABORT, 'a row of a tracked table has no primary key: a key column is NULL') WHERE ${isNull}; `;
}
