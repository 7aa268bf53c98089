import { type SqlValue } from '../../seam.js';
import { type Column } from './column.js';
import { type Row } from './row-slot.js';
import { type Table } from './table.js';

/** Values by the place of their column; what is left out gets its default. */
export type RowValues = ReadonlyMap<number, SqlValue>;

/** The row that an INSERT makes: identity, rowversion and defaults filled in. */
export function newRow(table: Table, given: RowValues, { keepIdentity }: { readonly keepIdentity: boolean }): Row {
  return table.columns.map((column, at) => {
    const value = given.get(at);
    if (column.identity !== undefined) {
      return keepIdentity && value !== undefined ? keptIdentity(table, column, value) : nextIdentity(table, column);
    }
    if (column.type.name === 'rowversion') {
      return table.database.nextRowversion();
    }
    return value === undefined ? (column.default?.value() ?? null) : value;
  });
}

/** The row that an UPDATE makes: every rowversion moves. */
export function stampedRow(table: Table, row: readonly SqlValue[]): Row {
  return table.columns.map(({ type }, at) =>
    type.name === 'rowversion' ? table.database.nextRowversion() : (row[at] as SqlValue),
  );
}

function nextIdentity(table: Table, { identity }: Column): SqlValue {
  const value = table.nextIdentity;
  table.nextIdentity = value + (identity?.increment ?? 1n);
  return value;
}

function keptIdentity(table: Table, { identity }: Column, value: SqlValue): SqlValue {
  const increment = identity?.increment ?? 1n;
  if (typeof value === 'bigint' && (increment > 0n ? value >= table.nextIdentity : value <= table.nextIdentity)) {
    table.nextIdentity = value + increment;
  }
  return value;
}
