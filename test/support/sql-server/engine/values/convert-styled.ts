import { type SqlValue } from '../../seam.js';
import { convertValue } from './convert.js';
import { formatMoment, parseMoment } from './date-time.js';
import { formatDecimal, parseDecimal, rescale } from './scaled-decimal.js';
import { isBinary, isText, nvarchar, type ValueType } from './value-type.js';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** CONVERT with a style: without one, an old datetime is written for people, money with two digits, a binary as characters. */
export function convertStyled(value: SqlValue, from: ValueType, to: ValueType, style: number | undefined): SqlValue {
  if (isText(to) && (from.name === 'datetime' || from.name === 'smalldatetime') && typeof value === 'string') {
    return convertValue(dateForPeople(value, style), nvarchar('max'), to);
  }
  if (isText(to) && from.name === 'money' && style === 2 && typeof value === 'string') {
    const exact = rescale(parseDecimal(value) ?? { units: 0n, scale: 0 }, 4);
    return convertValue(formatDecimal(exact), nvarchar('max'), to);
  }
  const prefix = style === 1 ? '0x' : style === 2 ? '' : undefined;
  if (prefix !== undefined && isText(to) && value instanceof Uint8Array) {
    return convertValue(`${prefix}${Buffer.from(value).toString('hex').toUpperCase()}`, nvarchar('max'), to);
  }
  if (prefix !== undefined && isBinary(to) && isText(from) && typeof value === 'string') {
    const bytes = new Uint8Array(Buffer.from(value.slice(prefix.length), 'hex'));
    return convertValue(bytes, { name: 'varbinary', length: 'max', nullable: true }, to);
  }
  return convertValue(value, from, to);
}

/** Style 0: `Nov 27 2026  8:31PM`; the styles that sort are the text of the type. */
function dateForPeople(value: string, style: number | undefined): string {
  const moment = parseMoment(value);
  if (moment === undefined || (style !== undefined && style !== 0 && style !== 100)) {
    return style === 126 || style === 127 ? value.replace(' ', 'T') : value;
  }
  const text = formatMoment(moment, { name: 'datetime2', scale: 0, nullable: false });
  const hour = Number(text.slice(11, 13));
  const clock = `${String(hour % 12 === 0 ? 12 : hour % 12).padStart(2)}:${text.slice(14, 16)}${hour < 12 ? 'AM' : 'PM'}`;
  return `${MONTHS[Number(text.slice(5, 7)) - 1] ?? ''} ${String(Number(text.slice(8, 10))).padStart(2)} ${text.slice(0, 4)} ${clock}`;
}
