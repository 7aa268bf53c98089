import { Buffer } from 'node:buffer';
import type { SqlValue } from '../sql/sql-value.js';
import { quoteName } from './table-name.js';

/**
 * SQL that turns the primary key of a row into text: one value after the other, parted by commas, each such that equal texts mean equal
 * keys and {@link parseKeyText} finds the values again: `42,"north","2026-01-31 00:00:00.000"`.
 *
 * Text goes through `json_quote`, since `quote` stops at a NUL character; a real through `quote`, since JSON keeps 15 digits only.
 *
 * @param row `NEW`, `OLD` or an alias.
 */
export function keyTextSql(row: string, primaryKey: readonly string[]): string {
  return primaryKey.map((column) => valueTextSql(`${row}.${quoteName(column)}`)).join(` || ',' || `);
}

function valueTextSql(value: string): string {
  return (
    `CASE typeof(${value}) WHEN 'integer' THEN CAST(${value} AS TEXT) WHEN 'text' THEN json_quote(${value}) ` +
    `WHEN 'blob' THEN 'x"' || hex(${value}) || '"' ELSE quote(${value}) END`
  );
}

const TOKEN = /(?:x"([0-9A-F]*)"|("(?:[^"\\]|\\.)*")|(-?\d+)(?=,|$)|(NULL)|(-?[^,"]+))(?:,|$)/y;

/**
 * The values of a text made by {@link keyTextSql}, integers as `bigint`.
 *
 * @throws Error when the text was not made by it.
 */
export function parseKeyText(text: string): SqlValue[] {
  const values: SqlValue[] = [];
  TOKEN.lastIndex = 0;
  for (let position = 0; position < text.length; position = TOKEN.lastIndex) {
    TOKEN.lastIndex = position;
    const match = TOKEN.exec(text);
    if (match === null) {
      throw new Error(`Not the text of a primary key, at character ${position} of ${text.length}.`);
    }
    const [, bytes, quoted, integer, none, real] = match;
    if (bytes !== undefined) {
      values.push(new Uint8Array(Buffer.from(bytes, 'hex')));
    } else if (quoted !== undefined) {
      const parsed: unknown = JSON.parse(quoted);
      values.push(String(parsed));
    } else if (integer !== undefined) {
      values.push(BigInt(integer));
    } else if (none !== undefined) {
      values.push(null);
    } else {
      values.push(Number(real));
    }
  }
  return values;
}
