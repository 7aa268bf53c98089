import { type SqlValue } from '../../seam.js';
import {
  conversionFailed,
  errorConverting,
  noExplicitConversion,
  noImplicitConversion,
  notADate,
  notAGuid,
  operandClash,
  overflow,
  overflowOf,
} from '../errors/value-faults.js';
import { formatMoment, parseMoment } from './date-time.js';
import { formatDecimal, parseDecimal, rescale, type ScaledDecimal } from './scaled-decimal.js';
import {
  isBinary,
  isDateTime,
  isExactNumber,
  isFloating,
  isInteger,
  isText,
  shape,
  type TypeName,
  typeText,
  type ValueType,
} from './value-type.js';

/** How a conversion is asked for. */
export interface ConversionOptions {
  /** By CAST or CONVERT: texts become binaries, dates become numbers … */
  readonly explicit?: boolean;
}

/** Checks that a conversion exists at all, before any row is read. */
export function assertConvertible(from: ValueType, to: ValueType, { explicit = false }: ConversionOptions = {}): void {
  if (from.untypedNull === true || from.name === to.name) {
    return;
  }
  const clash =
    (from.name === 'uniqueidentifier' && !isText(to) && !isBinary(to)) ||
    (to.name === 'uniqueidentifier' && !isText(from) && !isBinary(from)) ||
    (isDateTime(from) && (isExactNumber(to) || isFloating(to) || to.name === 'bit') && !isOldDateTime(from)) ||
    (isDateTime(to) && (isExactNumber(from) || isFloating(from) || from.name === 'bit') && !isOldDateTime(to)) ||
    (from.name === 'date' && to.name === 'time') ||
    (from.name === 'time' && to.name === 'date');
  if (clash) {
    throw explicit ? noExplicitConversion(from.name, to.name) : operandClash(from.name, to.name);
  }
  if (!explicit && ((isText(from) && isBinary(to)) || (isBinary(from) && isText(to) && from.name !== 'rowversion'))) {
    throw noImplicitConversion(from.name, to.name);
  }
}

/** A value in another type. Texts and binaries are cut to its length. */
export function convertValue(value: SqlValue, from: ValueType, to: ValueType): SqlValue {
  if (value === null) {
    return null;
  }
  if (isText(to)) {
    return padded(cut(textOf(value, from), to), to);
  }
  if (isBinary(to)) {
    return binaryOf(value, from, to);
  }
  if (isInteger(to)) {
    return integerOf(value, from, to);
  }
  if (to.name === 'bit') {
    return bitOf(value, from);
  }
  if (isExactNumber(to)) {
    return decimalOf(value, from, to);
  }
  if (isFloating(to)) {
    return floatOf(value, from, to);
  }
  return to.name === 'uniqueidentifier' ? guidOf(value, from) : momentOf(value, from, to);
}

/** A value as text, as CAST to varchar writes it. */
export function textOf(value: NonNullable<SqlValue>, from: ValueType): string {
  if (typeof value === 'boolean') {
    return value ? '1' : '0';
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString('latin1');
  }
  if (from.name === 'money' && typeof value === 'string') {
    const parsed = parseDecimal(value);
    return parsed === undefined ? value : formatDecimal(rescale(parsed, 2));
  }
  return String(value);
}

const BOUNDS: Readonly<Partial<Record<TypeName, readonly [bigint, bigint]>>> = {
  tinyint: [0n, 255n],
  smallint: [-32_768n, 32_767n],
  int: [-2_147_483_648n, 2_147_483_647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** @throws 8115 or 220 when the number does not fit. */
export function checkInteger(value: bigint, to: ValueType): bigint {
  const [least, most] = BOUNDS[to.name] ?? [0n, 0n];
  if (value < least || value > most) {
    throw to.name === 'tinyint' || to.name === 'smallint'
      ? overflowOf(to.name, String(value))
      : overflow('expression', to.name);
  }
  return value;
}

function integerOf(value: NonNullable<SqlValue>, from: ValueType, to: ValueType): bigint {
  if (typeof value === 'bigint') {
    return checkInteger(value, to);
  }
  if (typeof value === 'boolean') {
    return value ? 1n : 0n;
  }
  if (typeof value === 'number') {
    return checkInteger(BigInt(Math.trunc(value)), to);
  }
  if (value instanceof Uint8Array) {
    return BigInt.asIntN(64, BigInt(`0x0${Buffer.from(value).toString('hex')}`));
  }
  if (isText(from)) {
    if (!/^\s*[+-]?\d*\s*$/.test(value)) {
      throw to.name === 'bigint' ? errorConverting(from.name, to.name) : conversionFailed(from.name, value, to.name);
    }
    return checkInteger(BigInt(value.trim() === '' ? 0 : value.trim().replace(/^\+/, '')), to);
  }
  const { units, scale } = parseDecimal(value) ?? { units: 0n, scale: 0 };
  return checkInteger(units / 10n ** BigInt(scale), to);
}

function bitOf(value: NonNullable<SqlValue>, from: ValueType): boolean {
  if (typeof value === 'string') {
    const word = value.trim().toLowerCase();
    if (isText(from) && (word === 'true' || word === 'false')) {
      return word === 'true';
    }
    const number = parseDecimal(word);
    if (number === undefined) {
      throw conversionFailed(from.name, value, 'bit');
    }
    return number.units !== 0n;
  }
  return value instanceof Uint8Array ? value.some((byte) => byte !== 0) : Boolean(value);
}

function decimalOf(value: NonNullable<SqlValue>, from: ValueType, to: ValueType): string {
  const number = scaledOf(value);
  if (number === undefined) {
    throw errorConverting(from.name, to.name === 'decimal' ? 'numeric' : to.name);
  }
  const { precision, scale } = shape(to);
  const exact = rescale(number, scale);
  const digits = String(exact.units < 0n ? -exact.units : exact.units).length;
  if (digits > precision) {
    throw overflow(isText(from) ? from.name : isInteger(from) ? from.name : 'numeric', 'numeric');
  }
  return formatDecimal(exact);
}

function scaledOf(value: NonNullable<SqlValue>): ScaledDecimal | undefined {
  if (value instanceof Uint8Array) {
    return undefined;
  }
  return typeof value === 'boolean'
    ? { units: value ? 1n : 0n, scale: 0 }
    : parseDecimal(typeof value === 'number' ? String(value) : String(value).replace(/[$,]/g, ''));
}

function floatOf(value: NonNullable<SqlValue>, from: ValueType, to: ValueType): number {
  const number = typeof value === 'boolean' ? Number(value) : Number(String(value).trim());
  if (value instanceof Uint8Array || Number.isNaN(number) || (value === '' && !isText(from))) {
    throw errorConverting(from.name, to.name);
  }
  return to.name === 'real' ? Math.fround(number) : number;
}

function guidOf(value: NonNullable<SqlValue>, from: ValueType): string {
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value).toString('hex').padEnd(32, '0').toUpperCase();
    const turned = (from: number, to: number): string => (hex.slice(from, to).match(/../g) ?? []).toReversed().join('');
    return `${turned(0, 8)}-${turned(8, 12)}-${turned(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
  }
  const text = String(value)
    .trim()
    .replace(/^\{(.*)\}$/, '$1');
  if (!isText(from) && from.name !== 'uniqueidentifier') {
    throw operandClash(from.name, 'uniqueidentifier');
  }
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.test(text)) {
    throw notAGuid();
  }
  return text.slice(0, 36).toUpperCase();
}

function momentOf(value: NonNullable<SqlValue>, from: ValueType, to: ValueType): string {
  const text = typeof value === 'string' ? value : '';
  const moment = parseMoment(text);
  if (moment === undefined) {
    throw typeof value === 'string' ? notADate() : operandClash(from.name, to.name);
  }
  return formatMoment(moment, to);
}

function binaryOf(value: NonNullable<SqlValue>, from: ValueType, to: ValueType): Uint8Array {
  const bytes = bytesOf(value, from);
  const length = to.name === 'rowversion' ? 8 : to.length;
  if (typeof length !== 'number') {
    return bytes;
  }
  const kept =
    typeof value === 'bigint' ? bytes.subarray(Math.max(0, bytes.length - length)) : bytes.subarray(0, length);
  if (to.name === 'varbinary' || kept.length === length) {
    return kept;
  }
  const full = new Uint8Array(length);
  full.set(kept, typeof value === 'bigint' ? length - kept.length : 0);
  return full;
}

const WIDTH: Readonly<Partial<Record<TypeName, number>>> = { tinyint: 1, smallint: 2, int: 4, bigint: 8 };

function bytesOf(value: NonNullable<SqlValue>, from: ValueType): Uint8Array {
  if (value instanceof Uint8Array) {
    return value;
  }
  if (typeof value === 'bigint') {
    const width = WIDTH[from.name] ?? 4;
    const hex = BigInt.asUintN(width * 8, value)
      .toString(16)
      .padStart(width * 2, '0');
    return new Uint8Array(Buffer.from(hex, 'hex'));
  }
  if (typeof value === 'boolean') {
    return Uint8Array.of(value ? 1 : 0);
  }
  if (from.name === 'uniqueidentifier' && typeof value === 'string') {
    const [a = '', b = '', c = '', d = '', e = ''] = value.split('-');
    const turned = (group: string): string => (group.match(/../g) ?? []).toReversed().join('');
    return new Uint8Array(Buffer.from(`${turned(a)}${turned(b)}${turned(c)}${d}${e}`, 'hex'));
  }
  if (isText(from)) {
    return new Uint8Array(Buffer.from(String(value), from.name.startsWith('n') ? 'utf16le' : 'latin1'));
  }
  throw noExplicitConversion(typeText(from), 'varbinary');
}

function cut(text: string, { length }: ValueType): string {
  return typeof length === 'number' ? text.slice(0, length) : text;
}

/** The fixed texts are filled with blanks. */
function padded(text: string, { name, length }: ValueType): string {
  return (name === 'char' || name === 'nchar') && typeof length === 'number' ? text.padEnd(length) : text;
}

function isOldDateTime({ name }: ValueType): boolean {
  return name === 'datetime' || name === 'smalldatetime';
}
