import { remembering } from './remembering.js';
import { type ValueType } from './value-type.js';

/** A moment taken apart: days and ticks of 100 ns, so that nothing is lost to floating point. */
export interface Moment {
  /** Days since 1970-01-01. */
  readonly day: number;
  /** Ticks of 100 ns since midnight. */
  readonly ticks: bigint;
  /** Minutes east of UTC; only of a datetimeoffset. */
  readonly offsetMinutes: number;
}

export const TICKS_PER_SECOND = 10_000_000n;
export const TICKS_PER_DAY = 86_400n * TICKS_PER_SECOND;
const DAY_MS = 86_400_000;

const PATTERN =
  /^\s*(?:(\d{4})-?(\d{2})-?(\d{2}))?(?:(?:[T ]|^)\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:\d{2})?\s*$/i;

/** @returns `undefined` when the text is no date or time. A time alone falls on 1900-01-01. */
export const parseMoment = remembering((text: string): Moment | undefined => {
  const match = PATTERN.exec(text);
  if (match === null || (match[1] === undefined && match[4] === undefined)) {
    return undefined;
  }
  const [, year = '1900', month = '01', date = '01', hour = '0', minute = '0', second = '0', fraction = '', zone] =
    match;
  const ms = Date.UTC(2000, Number(month) - 1, Number(date));
  const exact = new Date(ms);
  exact.setUTCFullYear(Number(year), Number(month) - 1, Number(date));
  const isDate = exact.getUTCMonth() === Number(month) - 1 && exact.getUTCDate() === Number(date);
  if (!isDate || Number(year) < 1 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    return undefined;
  }
  const seconds = BigInt(Number(hour) * 3_600 + Number(minute) * 60 + Number(second));
  return {
    day: exact.getTime() / DAY_MS,
    ticks: seconds * TICKS_PER_SECOND + BigInt(fraction.padEnd(7, '0').slice(0, 7)),
    offsetMinutes: zone === undefined || /z/i.test(zone) ? 0 : offsetOf(zone),
  };
});

/** Moves by ticks; days follow. */
export function addTicks(moment: Moment, ticks: bigint): Moment {
  const total = BigInt(moment.day) * TICKS_PER_DAY + moment.ticks + ticks;
  const day = floorDivide(total, TICKS_PER_DAY);
  return { ...moment, day: Number(day), ticks: total - day * TICKS_PER_DAY };
}

/** Ticks since 1970-01-01, without the offset. */
export function ticksOf({ day, ticks }: Moment): bigint {
  return BigInt(day) * TICKS_PER_DAY + ticks;
}

/** The same instant at UTC. */
export function toUtc(moment: Moment): Moment {
  return { ...addTicks(moment, BigInt(-moment.offsetMinutes) * 60n * TICKS_PER_SECOND), offsetMinutes: 0 };
}

export function fromMilliseconds(ms: number): Moment {
  return addTicks(EPOCH, BigInt(Math.floor(ms)) * 10_000n);
}

/** Whole milliseconds since 1970-01-01T00:00:00Z. */
export function toMilliseconds(moment: Moment): number {
  return Number(floorDivide(ticksOf(toUtc(moment)), 10_000n));
}

/** As SQL Server keeps it in that type: rounded to its scale. */
export function formatMoment(moment: Moment, type: ValueType): string {
  const scale = type.scale ?? 7;
  if (type.name === 'date') {
    return dateText(moment.day);
  }
  if (type.name === 'time') {
    return timeText(rounded({ ...moment, day: 0 }, scale).ticks, scale);
  }
  if (type.name === 'smalldatetime') {
    const minutes = floorDivide(ticksOf(moment) + 30n * TICKS_PER_SECOND, 60n * TICKS_PER_SECOND);
    return dateAndTime(addTicks(EPOCH, minutes * 60n * TICKS_PER_SECOND), 0);
  }
  if (type.name === 'datetime') {
    return dateAndTime(datetimeRounded(moment), 3);
  }
  const text = dateAndTime(rounded(moment, scale), scale);
  return type.name === 'datetimeoffset' ? `${text} ${offsetText(moment.offsetMinutes)}` : text;
}

const EPOCH: Moment = { day: 0, ticks: 0n, offsetMinutes: 0 };

function dateAndTime({ day, ticks }: Moment, scale: number): string {
  return `${dateText(day)} ${timeText(ticks, scale)}`;
}

export const dateText = remembering((day: number): string => {
  const date = new Date(day * DAY_MS);
  return `${String(date.getUTCFullYear()).padStart(4, '0')}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
});

function timeText(ticks: bigint, scale: number): string {
  const seconds = Number(ticks / TICKS_PER_SECOND);
  const text = `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const fraction = String(ticks % TICKS_PER_SECOND)
    .padStart(7, '0')
    .slice(0, scale);
  return scale === 0 ? text : `${text}.${fraction}`;
}

function rounded(moment: Moment, scale: number): Moment {
  const unit = 10n ** BigInt(7 - scale);
  const ticks = ((moment.ticks + unit / 2n) / unit) * unit;
  return addTicks({ ...moment, ticks: 0n }, ticks);
}

/** A datetime knows a three-hundredth of a second: milliseconds end in 0, 3 or 7. */
function datetimeRounded(moment: Moment): Moment {
  const units = (moment.ticks * 300n + TICKS_PER_SECOND / 2n) / TICKS_PER_SECOND;
  const ms = (units * 1_000n + 150n) / 300n;
  return addTicks({ ...moment, ticks: 0n }, ms * 10_000n);
}

function offsetOf(zone: string): number {
  const [hours = '0', minutes = '0'] = zone.slice(1).split(':');
  return (zone.startsWith('-') ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

function offsetText(minutes: number): string {
  const all = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(all / 60))}:${two(all % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}
