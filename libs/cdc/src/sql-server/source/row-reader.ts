import type { ColumnValue, PrimaryKey, Row } from '../../change/row-change.js';
import { hexOf, optionalBigintIn, optionalBytesIn, optionalTextIn } from '../pool/cells.js';
import type { SqlServerRow } from '../pool/sql-server.pool.js';
import { SqlServerAnswerError } from '../sql-server.errors.js';
import type { ColumnKind, SqlServerColumn } from '../statements/column-sql.js';
import type { ReadableTable } from '../statements/read-changes.js';
import { instantText, offsetInstantText } from './instant-text.js';

/** Reads a value that a projection sent. */
type CellReader = (row: SqlServerRow, index: number) => ColumnValue;

const number: CellReader = (row, index) => {
  const value = row[index];
  if (value === null || typeof value === 'number') {
    return value;
  }
  throw new SqlServerAnswerError(`column ${index + 1} is a ${typeof value} where a number was expected`);
};

const wholeNumber: CellReader = (row, index) => {
  const value = optionalBigintIn(row, index);
  return value !== null && BigInt.asIntN(54, value) === value ? Number(value) : value;
};

const bit: CellReader = (row, index) => {
  const value = row[index];
  if (value === null || typeof value === 'boolean') {
    return value;
  }
  throw new SqlServerAnswerError(`column ${index + 1} is a ${typeof value} where a bit was expected`);
};

const through =
  (change: (text: string) => string): CellReader =>
  (row, index) => {
    const value = optionalTextIn(row, index);
    return value === null ? null : change(value);
  };

const READERS: Readonly<Record<ColumnKind, CellReader>> = Object.freeze({
  bit,
  integer: wholeNumber,
  bigint: wholeNumber,
  float: number,
  real: number,
  decimal: optionalTextIn,
  money: optionalTextIn,
  text: optionalTextIn,
  xml: optionalTextIn,
  date: optionalTextIn,
  time: optionalTextIn,
  uuid: optionalTextIn,
  instant: through(instantText),
  offsetInstant: through(offsetInstantText),
  binary: optionalBytesIn,
});

/** Reads keys and rows of one table out of answers in which the key stands first, then the row. */
export class RowReader {
  readonly #key: readonly SqlServerColumn[];
  readonly #columns: readonly SqlServerColumn[];

  constructor({ key, columns }: ReadableTable) {
    this.#key = key;
    this.#columns = columns;
  }

  /** The key's values as text from which the same place is found again. */
  keyTexts(row: SqlServerRow, from: number): readonly string[] {
    return this.#key.map((_, index) => keyText(row[from + index]));
  }

  /** The key as the log or the table spells it. */
  key(row: SqlServerRow, from: number): PrimaryKey {
    return readInto(this.#key, row, from);
  }

  /** The row that follows the key. */
  row(row: SqlServerRow, from: number): Row {
    return readInto(this.#columns, row, from + this.#key.length);
  }

  /** The key's columns of a row that was read. */
  keyIn(row: Row): PrimaryKey {
    const key: Record<string, ColumnValue> = {};
    for (const { name } of this.#key) {
      key[name] = row[name] ?? null;
    }
    return key;
  }
}

function readInto(columns: readonly SqlServerColumn[], row: SqlServerRow, from: number): Row {
  const read: Record<string, ColumnValue> = {};
  for (const [index, { name, kind }] of columns.entries()) {
    read[name] = READERS[kind](row, from + index);
  }
  return read;
}

function keyText(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value === 'boolean') {
    return value ? '1' : '0';
  }
  if (value instanceof Uint8Array) {
    return hexOf(value);
  }
  throw new SqlServerAnswerError('a value of the primary key is neither text, number, bit nor bytes');
}
