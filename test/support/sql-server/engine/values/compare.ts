import { type SqlValue } from '../../seam.js';
import { parseMoment, ticksOf, toUtc } from './date-time.js';
import { compareDecimals, parseDecimal } from './scaled-decimal.js';
import { isBinary, isDateTime, isText, type ValueType } from './value-type.js';

const linguistic = new Intl.Collator('en', { sensitivity: 'variant' });

/** Two values of one type, NULLs first. Negative, zero or positive. */
export function compareValues(left: SqlValue, right: SqlValue, type: ValueType): number {
  if (left === null || right === null) {
    return Number(left !== null) - Number(right !== null);
  }
  if (isText(type)) {
    return compareTexts(String(left), String(right), type);
  }
  if (type.name === 'uniqueidentifier') {
    return plain(guidOrder(String(left)), guidOrder(String(right)));
  }
  if (isBinary(type)) {
    return Buffer.compare(unpadded(left as Uint8Array), unpadded(right as Uint8Array));
  }
  if (type.name === 'decimal' || type.name === 'money') {
    return compareDecimals(decimalOf(left), decimalOf(right));
  }
  return isDateTime(type)
    ? plain(momentOrder(String(left)), momentOrder(String(right)))
    : plain(left as bigint, right as bigint);
}

/** Equal texts of this for values that are equal in the type: what indexes are keyed by. */
export function keyText(values: readonly SqlValue[], types: readonly ValueType[]): string {
  return values.map((value, index) => part(value, types[index] as ValueType)).join('\u0001');
}

/** A text as its collation sees it: trailing blanks never count, case does or does not. */
export function foldText(text: string, { collation }: ValueType): string {
  const trimmed = text.replace(/ +$/, '');
  return collation === 'cs' || collation === 'bin' ? trimmed : trimmed.toLowerCase();
}

function compareTexts(left: string, right: string, type: ValueType): number {
  const [a, b] = [foldText(left, type), foldText(right, type)];
  if (a === b) {
    return 0;
  }
  const order = type.collation === 'bin' ? 0 : linguistic.compare(a, b);
  return order === 0 ? plain(a, b) : order;
}

function part(value: SqlValue, type: ValueType): string {
  if (value === null) {
    return '\u0000';
  }
  if (isText(type)) {
    return `s${foldText(String(value), type)}`;
  }
  if (value instanceof Uint8Array) {
    return `x${Buffer.from(unpadded(value)).toString('hex')}`;
  }
  return isDateTime(type) ? `d${momentOrder(String(value))}` : `v${String(value)}`;
}

/** SQL Server compares the last six bytes of a uniqueidentifier first, and the first three groups byte by byte from their ends. */
function guidOrder(text: string): string {
  const [a = '', b = '', c = '', d = '', e = ''] = text.toUpperCase().split('-');
  const backwards = (group: string): string => (group.match(/../g) ?? []).toReversed().join('');
  return `${e}${d}${backwards(c)}${backwards(b)}${backwards(a)}`;
}

function momentOrder(text: string): bigint {
  const moment = parseMoment(text);
  return moment === undefined ? 0n : ticksOf(toUtc(moment));
}

function decimalOf(value: SqlValue): { readonly units: bigint; readonly scale: number } {
  return parseDecimal(String(value)) ?? { units: 0n, scale: 0 };
}

/** Trailing zero bytes do not count in a comparison of binaries. */
function unpadded(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) {
    end--;
  }
  return bytes.subarray(0, end);
}

function plain<T extends bigint | boolean | number | string>(left: T, right: T): number {
  return left < right ? -1 : Number(left > right);
}
