import { type SqlValue } from '../../seam.js';
import { type Column, storeValue } from '../storage/column.js';
import { type Row } from '../storage/row-slot.js';
import { type Table } from '../storage/table.js';
import { isInteger, nvarchar, type ValueType, varbinary } from '../values/value-type.js';

/** Values as tests write them: a number also where the column is an integer. */
export type PlainValue = SqlValue | undefined;
export type PlainRow = Readonly<Record<string, PlainValue>>;

/** A value as the column keeps it. */
export function plainToStored(value: PlainValue, column: Column, table: Table): SqlValue {
  if (value === undefined || value === null) {
    return null;
  }
  const exact = typeof value === 'number' && isInteger(column.type) ? BigInt(value) : value;
  return storeValue(exact, typeOf(exact, column.type), column, table.qualifiedName);
}

/** A row by the names of its columns. */
export function toPlainRow(row: Row, table: Table): Readonly<Record<string, SqlValue>> {
  return Object.fromEntries(table.columns.map(({ name }, index) => [name, row[index] as SqlValue]));
}

function typeOf(value: NonNullable<SqlValue>, wanted: ValueType): ValueType {
  if (typeof value === 'string') {
    return nvarchar('max');
  }
  return value instanceof Uint8Array && wanted.name !== 'rowversion' ? varbinary('max') : wanted;
}
