import { type SqlValue } from '../../../seam.js';
import { dateOverflow, notADate } from '../../errors/value-faults.js';
import {
  addTicks,
  formatMoment,
  fromMilliseconds,
  type Moment,
  parseMoment,
  ticksOf,
  TICKS_PER_DAY,
  TICKS_PER_SECOND,
  toUtc,
} from '../../values/date-time.js';
import { BIGINT, DATETIME, DATETIME2, INT, type ValueType } from '../../values/value-type.js';
import { plain, type ScalarFunction, strict } from './scalar-function.js';

const now = (type: ValueType): ScalarFunction =>
  plain(0, type, ({ run }) => formatMoment(fromMilliseconds(run.nowMs), type));

/** Functions over dates and times. The server's clock is at UTC. */
export const DATE_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  sysutcdatetime: now(DATETIME2),
  sysdatetime: now(DATETIME2),
  sysdatetimeoffset: now({ name: 'datetimeoffset', scale: 7, nullable: false }),
  getdate: now(DATETIME),
  getutcdate: now(DATETIME),
  current_timestamp: now(DATETIME),
  year: strict(1, INT, ([value]) => BigInt(Number(dateOf(value).slice(0, 4)))),
  month: strict(1, INT, ([value]) => BigInt(Number(dateOf(value).slice(5, 7)))),
  day: strict(1, INT, ([value]) => BigInt(Number(dateOf(value).slice(8, 10)))),
};

type DatePart = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'millisecond' | 'microsecond' | 'nanosecond';

const NAMES: Readonly<Record<string, DatePart>> = {
  year: 'year',
  yy: 'year',
  yyyy: 'year',
  month: 'month',
  mm: 'month',
  m: 'month',
  day: 'day',
  dd: 'day',
  d: 'day',
  hour: 'hour',
  hh: 'hour',
  minute: 'minute',
  mi: 'minute',
  n: 'minute',
  second: 'second',
  ss: 'second',
  s: 'second',
  millisecond: 'millisecond',
  ms: 'millisecond',
  microsecond: 'microsecond',
  mcs: 'microsecond',
  nanosecond: 'nanosecond',
  ns: 'nanosecond',
};

const TICKS: Readonly<Record<Exclude<DatePart, 'year' | 'month'>, bigint>> = {
  day: TICKS_PER_DAY,
  hour: 3_600n * TICKS_PER_SECOND,
  minute: 60n * TICKS_PER_SECOND,
  second: TICKS_PER_SECOND,
  millisecond: 10_000n,
  microsecond: 10n,
  nanosecond: 1n,
};

/** @returns `undefined` when there is no such part. */
export function datePart(name: string): DatePart | undefined {
  return NAMES[name.toLowerCase()];
}

/** DATEADD, DATEDIFF, DATEDIFF_BIG and DATEPART: their first argument is a word, not a value. */
export const DATE_PART_FUNCTIONS: Readonly<Record<string, (part: DatePart) => ScalarFunction>> = {
  dateadd: (part) =>
    strict(
      2,
      ([, type]) => (type === undefined || type.name === 'varchar' || type.name === 'nvarchar' ? DATETIME : type),
      ([count, value], { types }) => {
        const moment = added(momentOf(value), part, BigInt(String(count).split('.')[0] ?? '0'));
        const type = types[1];
        if (moment.day < -719_162 || moment.day > 2_932_896) {
          throw dateOverflow(type?.name ?? 'datetime');
        }
        return formatMoment(moment, type === undefined || type.name.endsWith('char') ? DATETIME : type);
      },
    ),
  datediff: (part) => strict(2, INT, ([from, to]) => difference(part, momentOf(from), momentOf(to))),
  datediff_big: (part) => strict(2, BIGINT, ([from, to]) => difference(part, momentOf(from), momentOf(to))),
  datepart: (part) => strict(1, INT, ([value]) => partOf(part, momentOf(value))),
};

function momentOf(value: SqlValue | undefined): Moment {
  const moment = typeof value === 'string' ? parseMoment(value) : undefined;
  if (moment === undefined) {
    throw notADate();
  }
  return moment;
}

function dateOf(value: SqlValue | undefined): string {
  return formatMoment(momentOf(value), { name: 'date', nullable: false });
}

function added(moment: Moment, part: DatePart, count: bigint): Moment {
  if (part === 'nanosecond') {
    return addTicks(moment, count / 100n);
  }
  if (part !== 'year' && part !== 'month') {
    return addTicks(moment, count * TICKS[part]);
  }
  const date = new Date(moment.day * 86_400_000);
  const months = Number(count) * (part === 'year' ? 12 : 1);
  const dayOfMonth = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(dayOfMonth, lastDay));
  return { ...moment, day: date.getTime() / 86_400_000 };
}

/** How many boundaries of the part lie between. */
function difference(part: DatePart, left: Moment, right: Moment): bigint {
  const [from, to] = [toUtc(left), toUtc(right)];
  if (part === 'year' || part === 'month') {
    const [a, b] = [new Date(from.day * 86_400_000), new Date(to.day * 86_400_000)];
    const years = b.getUTCFullYear() - a.getUTCFullYear();
    return BigInt(part === 'year' ? years : years * 12 + b.getUTCMonth() - a.getUTCMonth());
  }
  if (part === 'nanosecond') {
    return (ticksOf(to) - ticksOf(from)) * 100n;
  }
  return floor(ticksOf(to), TICKS[part]) - floor(ticksOf(from), TICKS[part]);
}

function partOf(part: DatePart, moment: Moment): bigint {
  const text = formatMoment(moment, DATETIME2);
  const places = { year: [0, 4], month: [5, 7], day: [8, 10], hour: [11, 13], minute: [14, 16], second: [17, 19] };
  const place = Object.entries(places).find(([name]) => name === part)?.[1];
  if (place !== undefined) {
    return BigInt(text.slice(place[0], place[1]));
  }
  const fraction = BigInt(text.slice(20, 27));
  return part === 'millisecond' ? fraction / 10_000n : part === 'microsecond' ? fraction / 10n : fraction * 100n;
}

function floor(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}
