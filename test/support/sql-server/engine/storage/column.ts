import { type SqlValue } from '../../seam.js';
import { truncated } from '../errors/value-faults.js';
import { assertConvertible, convertValue, textOf } from '../values/convert.js';
import { isBinary, isText, type ValueType } from '../values/value-type.js';

/** A default of a column: asked for each row that leaves the column out. */
export interface ColumnDefault {
  readonly constraint: string;
  readonly text: string;
  readonly value: () => SqlValue;
}

/** A column of a table. */
export interface Column {
  /** Its `column_id`: given once, not reused. */
  readonly id: number;
  readonly name: string;
  readonly type: ValueType;
  readonly identity?: { readonly seed: bigint; readonly increment: bigint };
  readonly default?: ColumnDefault;
}

/** A key of a table: the primary key, a unique constraint, or an index. */
export interface Index {
  readonly name: string;
  readonly kind: 'primary key' | 'unique constraint' | 'unique index' | 'index';
  /** Places in the table's list of columns. */
  readonly columns: readonly number[];
  readonly id: number;
}

/** A value as the column keeps it. @throws 2628 when it is too long, 245 and its kin when it cannot be converted. */
export function storeValue(value: SqlValue, from: ValueType, column: Column, table: string): SqlValue {
  if (value === null) {
    return null;
  }
  const { type } = column;
  assertConvertible(from, type);
  if (typeof type.length === 'number') {
    if (isText(type) && isText(from) && String(value).replace(/ +$/, '').length > type.length) {
      throw truncated(table, column.name, textOf(value, from).slice(0, type.length));
    }
    if (isBinary(type) && value instanceof Uint8Array && value.length > type.length) {
      const shown = Buffer.from(value.subarray(0, type.length)).toString('hex').toUpperCase();
      throw truncated(table, column.name, `0x${shown}`);
    }
  }
  return convertValue(value, from, type);
}
