import { Buffer } from 'node:buffer';
import { SqlServerAnswerError } from '../sql-server.errors.js';
import type { SqlServerAnswer, SqlServerRow } from './sql-server.pool.js';

/** The nth set of rows. */
export function setOf(answer: SqlServerAnswer, index: number): readonly SqlServerRow[] {
  const rows = answer[index];
  if (rows === undefined) {
    throw new SqlServerAnswerError(`it has ${answer.length} sets of rows, and set ${index + 1} was asked for`);
  }
  return rows;
}

/** The first row of the nth set, if there is one. */
export function firstOf(answer: SqlServerAnswer, index: number): SqlServerRow | undefined {
  return setOf(answer, index)[0];
}

/** A whole number of any size: the driver hands 64 bits out as text. */
export function bigintIn(row: SqlServerRow, index: number): bigint {
  const value = optionalBigintIn(row, index);
  if (value === null) {
    throw new SqlServerAnswerError(`column ${index + 1} is NULL where a whole number was expected`);
  }
  return value;
}

/** A whole number, or `null`. */
export function optionalBigintIn(row: SqlServerRow, index: number): bigint | null {
  const value = row[index];
  if (value === null || value === undefined) {
    return null;
  }
  if (typeof value === 'bigint') {
    return value;
  }
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    return BigInt(value);
  }
  if (typeof value === 'string' && /^-?\d+$/.test(value)) {
    return BigInt(value);
  }
  throw new SqlServerAnswerError(`column ${index + 1} is a ${typeof value} where a whole number was expected`);
}

/** Text. */
export function textIn(row: SqlServerRow, index: number): string {
  const value = optionalTextIn(row, index);
  if (value === null) {
    throw new SqlServerAnswerError(`column ${index + 1} is NULL where text was expected`);
  }
  return value;
}

/** Text, or `null`. */
export function optionalTextIn(row: SqlServerRow, index: number): string | null {
  const value = row[index];
  if (value === null || value === undefined) {
    return null;
  }
  if (typeof value !== 'string') {
    throw new SqlServerAnswerError(`column ${index + 1} is a ${typeof value} where text was expected`);
  }
  return value;
}

/** Bytes, or `null`. */
export function optionalBytesIn(row: SqlServerRow, index: number): Uint8Array | null {
  const value = row[index];
  if (value === null || value === undefined) {
    return null;
  }
  if (!(value instanceof Uint8Array)) {
    throw new SqlServerAnswerError(`column ${index + 1} is a ${typeof value} where bytes were expected`);
  }
  return value;
}

/** A bit or a small number as a truth. */
export function truthIn(row: SqlServerRow, index: number): boolean {
  const value = row[index];
  return value === true || value === 1 || value === '1' || value === 1n;
}

/** `0x` and hexadecimal digits, as SQL Server reads binary values. */
export function hexOf(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex').toUpperCase()}`;
}
