import type { ColumnValue } from '../../change/row-change.js';
import { type SqlValue, toSafeNumber } from '../sql/sql-value.js';

/** Turns a stored value into what a change carries. */
export type ColumnReader = (value: SqlValue) => ColumnValue;

const plain: ColumnReader = (value) => (typeof value === 'bigint' ? toSafeNumber(value) : value);

const boolean: ColumnReader = (value) => (typeof value === 'bigint' ? value !== 0n : plain(value));

const ZONE = /(?:Z|[+-]\d\d:?\d\d)$/i;
/** As TypeORM writes it: nearly every one. */
const STORED = /^\d{4}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d\.\d{3}$/;
const DATE_TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?(\.\d+)?(.*)$/;

/** A text without a zone is in UTC: so TypeORM and SQLite's own functions write it. What is no instant stays as it is. */
const instant: ColumnReader = (value) => {
  if (typeof value !== 'string') {
    return plain(value);
  }
  if (STORED.test(value)) {
    return `${value.slice(0, 10)}T${value.slice(11)}Z`;
  }
  const match = DATE_TIME.exec(value);
  if (match === null) {
    return value;
  }
  const [, date, minutes, seconds = ':00', fraction = '', rest = ''] = match;
  if (rest !== '' && !ZONE.test(rest)) {
    return value;
  }
  const atMs = Date.parse(`${date}T${minutes}${seconds}${fraction.slice(0, 4)}${rest === '' ? 'Z' : rest.trim()}`);
  return Number.isNaN(atMs) ? value : new Date(atMs).toISOString();
};

/** SQLite keeps a decimal as integer or real; the declared scale brings its zeros back. */
const decimal = (scale: number | undefined): ColumnReader => {
  return (value) => {
    if (typeof value === 'bigint') {
      return scale === undefined || scale === 0 ? value.toString() : `${value}.${'0'.repeat(scale)}`;
    }
    if (typeof value === 'number') {
      return scale === undefined ? String(value) : value.toFixed(scale);
    }
    return value;
  };
};

const DECIMAL = /^(?:DECIMAL|NUMERIC)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$/i;

/**
 * How values of a declared type are handed out: instants as UTC text with milliseconds, decimals as text, booleans as such, integers as
 * `bigint` beyond 2^53.
 */
export function columnReader(declaredType: string): ColumnReader {
  const type = declaredType.trim();
  if (/^BOOL/i.test(type)) {
    return boolean;
  }
  if (/^(?:DATETIME|TIMESTAMP|SMALLDATETIME)/i.test(type)) {
    return instant;
  }
  const match = DECIMAL.exec(type);
  if (match !== null) {
    const [, precision, scale] = match;
    // DECIMAL(10) has no digits after the point; DECIMAL alone has as many as it was given.
    return decimal(scale === undefined ? (precision === undefined ? undefined : 0) : Math.min(100, Number(scale)));
  }
  return plain;
}
