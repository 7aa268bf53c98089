import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { EmbeddedStatementError } from '../embedded.errors.js';

/** A row as SQLite answers it, integers as `bigint` where a statement asks for them so. */
export type SqlRow = Record<string, SQLOutputValue>;

/** A value as SQLite stores it. */
export type SqlValue = SQLOutputValue;

/**
 * Turns a parameter into what SQLite can store. A boolean is 0 or 1, a date the text that TypeORM stores (UTC, milliseconds), `undefined`
 * is NULL, and a whole number is an integer: `node:sqlite` alone would bind it as a real.
 *
 * @throws EmbeddedStatementError for any other object: `node:sqlite` would take the first one for named parameters and bind NULL.
 */
export function toSqlInput(value: unknown): SQLInputValue {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === 'string' || typeof value === 'bigint' || value === null) {
    return value;
  }
  if (typeof value === 'boolean') {
    return value ? 1n : 0n;
  }
  if (value === undefined) {
    return null;
  }
  if (value instanceof Uint8Array) {
    return value;
  }
  if (value instanceof Date) {
    return value.toISOString().replace('T', ' ').slice(0, -1);
  }
  throw new EmbeddedStatementError(
    `A parameter is a ${typeof value} that SQLite cannot store.`,
    'Give text, a number, a bigint, a boolean, a Date, bytes or null; turn other objects into JSON text.',
  );
}

/** `bigint` only where a number would lose digits. */
export function toSafeNumber(value: bigint): number | bigint {
  return value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : value;
}

/** Replaces the integers of rows read as `bigint` by numbers where they are safe; works in place. */
export function withSafeNumbers(rows: SqlRow[]): SqlRow[] {
  for (const row of rows) {
    for (const column in row) {
      const value = row[column];
      if (typeof value === 'bigint') {
        row[column] = toSafeNumber(value);
      }
    }
  }
  return rows;
}

/** An integer of one of our own tables, read as `bigint`. */
export function integerOf(row: SqlRow | undefined, column: string): bigint {
  return optionalIntegerOf(row, column) ?? missing(column);
}

/** As {@link integerOf}, of a column that may be NULL. */
export function optionalIntegerOf(row: SqlRow | undefined, column: string): bigint | null {
  const value = row?.[column] ?? null;
  return value === null || typeof value === 'bigint' ? value : missing(column);
}

/** A text of one of our own tables. */
export function textOf(row: SqlRow | undefined, column: string): string {
  return optionalTextOf(row, column) ?? missing(column);
}

/** As {@link textOf}, of a column that may be NULL. */
export function optionalTextOf(row: SqlRow | undefined, column: string): string | null {
  const value = row?.[column] ?? null;
  return value === null || typeof value === 'string' ? value : missing(column);
}

function missing(column: string): never {
  throw new EmbeddedStatementError(
    `Column "${column}" of the tracking tables does not hold what it must.`,
    'Something else wrote to the tables whose names begin with "smartpulse_": restore the file, or begin with a new one.',
  );
}
