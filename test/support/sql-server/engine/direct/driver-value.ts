import { Buffer } from 'node:buffer';
import { type SqlType, type SqlValue } from '../../seam.js';

/**
 * A value as `mssql` hands it out: 64 bits as text, other whole numbers as numbers, bytes as a Buffer.
 *
 * @throws RangeError for types that the driver rounds or turns into dates; ask for their text instead.
 */
export function driverValue(type: SqlType, value: SqlValue): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') {
    return value;
  }
  if (typeof value === 'bigint') {
    return type.name === 'bigint' ? value.toString() : Number(value);
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value);
  }
  if (!AS_TEXT.includes(type.name)) {
    throw new RangeError(`Without the driver a ${type.name} is not what it makes of it.`);
  }
  return value;
}

const AS_TEXT: readonly SqlType['name'][] = ['char', 'varchar', 'nchar', 'nvarchar', 'uniqueidentifier'];
