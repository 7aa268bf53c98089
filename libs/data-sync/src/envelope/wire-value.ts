import type { ColumnValue } from '@smartpulse/cdc';
import { UnencodableValueError } from '../data-sync.errors.js';
import type { WireValue } from './change-envelope.js';

const LONE_SURROGATE = /\p{Cs}/u;

/**
 * A column's value as it travels: big integers as text, binary as base64; decimals and instants are text already.
 *
 * @throws {@link UnencodableValueError} for what JSON would silently turn into something else.
 */
export function toWireValue(column: string, value: ColumnValue | undefined): WireValue {
  switch (typeof value) {
    case 'string':
      if (LONE_SURROGATE.test(value)) {
        throw new UnencodableValueError(column, 'half of a surrogate pair');
      }
      return value;
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isFinite(value)) {
        throw new UnencodableValueError(column, 'a number that is not finite');
      }
      return value;
    case 'bigint':
      return value.toString();
    case 'object':
      if (value === null) {
        return null;
      }
      if (value instanceof Uint8Array) {
        return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
      }
      throw new UnencodableValueError(column, 'an object');
    case 'undefined':
    case 'function':
    case 'symbol':
    default:
      throw new UnencodableValueError(column, `a value of type ${typeof value}`);
  }
}

/** A row or primary key as it travels. */
export function toWireRow(row: Readonly<Record<string, ColumnValue>>): Readonly<Record<string, WireValue>> {
  const wire: Record<string, WireValue> = {};
  for (const column of Object.keys(row)) {
    wire[column] = toWireValue(column, row[column]);
  }
  return wire;
}

/** One text per primary key: the identity of a row in maps. Columns in the order of the key. */
export function primaryKeyText(primaryKey: readonly string[], pk: Readonly<Record<string, WireValue>>): string {
  return JSON.stringify(primaryKey.map((column) => pk[column] ?? null));
}
