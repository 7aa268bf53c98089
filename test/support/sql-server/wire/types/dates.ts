/** Dates and times as SQL Server's own text, and as the days and ticks that travel. */

const DATE = String.raw`(\d{4})-(\d{2})-(\d{2})`;
const TIME = String.raw`(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?`;
const DATE_ONLY = new RegExp(`^${DATE}$`);
const TIME_ONLY = new RegExp(`^${TIME}$`);
const DATE_AND_TIME = new RegExp(`^${DATE} ${TIME}$`);
const WITH_OFFSET = new RegExp(String.raw`^${DATE} ${TIME} ([+-])(\d{2}):(\d{2})$`);

const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400;
/** Days from 0001-01-01 to 1970-01-01, and to 1900-01-01, where `datetime` starts to count. */
const DAYS_TO_1970 = 719_162;
const DAYS_TO_1900 = 693_595;
const LAST_DAY = 3_652_058;
/** `datetime` counts 300ths of a second. */
const DATETIME_TICKS = 300;

export function encodeDate(text: string): Buffer {
  const [, ...fields] = match(DATE_ONLY, text, 'date');
  return dayBytes(daysOf(fields, text));
}

export function decodeDate(bytes: Buffer): string {
  return dateText(bytes.readUIntLE(0, 3));
}

export function encodeTime(text: string, scale: number): Buffer {
  const [, ...fields] = match(TIME_ONLY, text, 'time');
  return tickBytes(ticksOf(fields, scale, text), scale);
}

export function decodeTime(bytes: Buffer, scale: number): string {
  return timeText(bytes.readUIntLE(0, bytes.length), scale);
}

export function encodeDateTime2(text: string, scale: number): Buffer {
  const [, year, month, day, ...time] = match(DATE_AND_TIME, text, 'datetime2');
  return Buffer.concat([tickBytes(ticksOf(time, scale, text), scale), dayBytes(daysOf([year, month, day], text))]);
}

export function decodeDateTime2(bytes: Buffer, scale: number): string {
  const tickLength = bytes.length - 3;
  return `${dateText(bytes.readUIntLE(tickLength, 3))} ${timeText(bytes.readUIntLE(0, tickLength), scale)}`;
}

/** The text is local time with its offset; what travels is UTC and the offset in minutes. */
export function encodeDateTimeOffset(text: string, scale: number): Buffer {
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = match(
    WITH_OFFSET,
    text,
    'datetimeoffset',
  );
  const offset = (sign === '-' ? -1 : 1) * (Number(offsetHours) * 60 + Number(offsetMinutes));
  const perDay = DAY_SECONDS * 10 ** scale;
  const local = ticksOf([hour, minute, second, fraction], scale, text);
  const utc = local - offset * 60 * 10 ** scale;
  const shift = Math.floor(utc / perDay);
  const offsetBytes = Buffer.alloc(2);
  offsetBytes.writeInt16LE(offset);
  return Buffer.concat([
    tickBytes(utc - shift * perDay, scale),
    dayBytes(daysOf([year, month, day], text) + shift),
    offsetBytes,
  ]);
}

export function decodeDateTimeOffset(bytes: Buffer, scale: number): string {
  const tickLength = bytes.length - 5;
  const offset = bytes.readInt16LE(tickLength + 3);
  const perDay = DAY_SECONDS * 10 ** scale;
  const local = bytes.readUIntLE(0, tickLength) + offset * 60 * 10 ** scale;
  const shift = Math.floor(local / perDay);
  const day = dateText(bytes.readUIntLE(tickLength, 3) + shift);
  const size = Math.abs(offset);
  const offsetText = `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return `${day} ${timeText(local - shift * perDay, scale)} ${offsetText}`;
}

/** Three digits at most; what lies between two ticks goes to the nearer one, as SQL Server does. */
export function encodeDateTime(text: string): Buffer {
  const [, year, month, day, ...time] = match(DATE_AND_TIME, text, 'datetime');
  const ticks = Math.round((ticksOf(time, 3, text) * DATETIME_TICKS) / 1_000);
  if (ticks >= DAY_SECONDS * DATETIME_TICKS) {
    throw new RangeError(`${text} is nearer to the next day than to any tick of datetime`);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(daysOf([year, month, day], text) - DAYS_TO_1900, 0);
  bytes.writeUInt32LE(ticks, 4);
  return bytes;
}

export function decodeDateTime(bytes: Buffer): string {
  const milliseconds = Math.round((bytes.readUInt32LE(4) * 1_000) / DATETIME_TICKS);
  return `${dateText(bytes.readInt32LE(0) + DAYS_TO_1900)} ${timeText(milliseconds, 3)}`;
}

export function encodeSmallDateTime(text: string): Buffer {
  const [, year, month, day, ...time] = match(DATE_AND_TIME, text, 'smalldatetime');
  const seconds = ticksOf(time, 0, text);
  if (seconds % 60 !== 0) {
    throw new RangeError(`${text} has seconds, and smalldatetime has none`);
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(daysOf([year, month, day], text) - DAYS_TO_1900, 0);
  bytes.writeUInt16LE(seconds / 60, 2);
  return bytes;
}

export function decodeSmallDateTime(bytes: Buffer): string {
  return `${dateText(bytes.readUInt16LE(0) + DAYS_TO_1900)} ${timeText(bytes.readUInt16LE(2) * 60, 0)}`;
}

/** Bytes of a time of day at this scale. */
export function timeBytes(scale: number): number {
  return scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
}

type Field = string | undefined;

function match(pattern: RegExp, text: string, type: string): readonly Field[] {
  const found = pattern.exec(text);
  if (found === null) {
    throw new RangeError(`${JSON.stringify(text)} is no ${type}`);
  }
  return found;
}

function daysOf([year, month, day]: readonly Field[], text: string): number {
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const days = date.getTime() / DAY_MS + DAYS_TO_1970;
  if (days < 0 || days > LAST_DAY || date.getUTCMonth() !== Number(month) - 1) {
    throw new RangeError(`${text} is no day of the calendar`);
  }
  return days;
}

/** Ticks of 10^-scale seconds since midnight. */
function ticksOf([hour, minute, second, fraction = '']: readonly Field[], scale: number, text: string): number {
  const digits = fraction.length > scale && /^0*$/.test(fraction.slice(scale)) ? fraction.slice(0, scale) : fraction;
  if (digits.length > scale || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    throw new RangeError(`${text} is no time of day with ${scale} digits of a second`);
  }
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  return seconds * 10 ** scale + Number(digits.padEnd(scale, '0') || '0');
}

function tickBytes(ticks: number, scale: number): Buffer {
  const bytes = Buffer.alloc(timeBytes(scale));
  bytes.writeUIntLE(ticks, 0, bytes.length);
  return bytes;
}

function dayBytes(days: number): Buffer {
  if (days < 0 || days > LAST_DAY) {
    throw new RangeError(`Day ${days} is outside the years 1 to 9999`);
  }
  const bytes = Buffer.alloc(3);
  bytes.writeUIntLE(days, 0, 3);
  return bytes;
}

function dateText(days: number): string {
  const date = new Date((days - DAYS_TO_1970) * DAY_MS);
  return `${String(date.getUTCFullYear()).padStart(4, '0')}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

function timeText(ticks: number, scale: number): string {
  const perSecond = 10 ** scale;
  const seconds = Math.floor(ticks / perSecond);
  const fraction = scale === 0 ? '' : `.${String(ticks - seconds * perSecond).padStart(scale, '0')}`;
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
