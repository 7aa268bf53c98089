import { InvalidInstantError } from '../data-sync.errors.js';

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?$/;
const CANONICAL = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const LOOKS_LIKE_ONE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/;

/**
 * The one text of an instant: UTC, `Z`, milliseconds always written (finer digits are cut off). Use it for every instant that goes into
 * a key, a column or an envelope, because keys compare texts.
 *
 * @throws {@link InvalidInstantError} for a text without an offset (its place in time is unknown) or a day that no calendar has.
 * @example
 * ```ts
 * utcInstant('2026-03-29T03:30:00+02:00'); // '2026-03-29T01:30:00.000Z'
 * ```
 */
export function utcInstant(instant: string | Date): string {
  if (instant instanceof Date) {
    if (Number.isNaN(instant.getTime())) {
      throw new InvalidInstantError('is an invalid Date');
    }
    return instant.toISOString();
  }
  const match = INSTANT.exec(instant);
  if (match === null) {
    throw new InvalidInstantError(`(a text of ${instant.length} characters) is not written as ISO 8601`);
  }
  const [, year, month, day, hour, minute, second = '0', fraction = '', offset] = match;
  if (offset === undefined) {
    throw new InvalidInstantError('has no offset');
  }
  const localMs = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
    Number(fraction.padEnd(3, '0').slice(0, 3)),
  );
  // Date.UTC rolls over what no calendar or clock has (30 February, 24:61); the text then differs from what was given.
  const rolled = new Date(localMs).toISOString().slice(0, 16) !== `${year}-${month}-${day}T${hour}:${minute}`;
  if (rolled || Number(second) > 59) {
    throw new InvalidInstantError('names a day or a time that does not exist');
  }
  return new Date(localMs - offsetMinutes(offset) * 60_000).toISOString();
}

/**
 * The UTC day of an instant, `2026-03-29`: the usual last part of the key of an aggregate.
 *
 * @throws {@link InvalidInstantError} like {@link utcInstant}.
 */
export function utcDay(instant: string | Date): string {
  return utcInstant(instant).slice(0, 10);
}

/** Whether a text reads like an instant but is not the one text of it, so that a key of it would miss the other's. */
export function isInstantOfAnotherText(text: string): boolean {
  return text.charCodeAt(4) === 45 && LOOKS_LIKE_ONE.test(text) && !CANONICAL.test(text);
}

function offsetMinutes(offset: string): number {
  if (offset === 'Z') {
    return 0;
  }
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(4, 6));
  if (hours > 14 || minutes > 59) {
    throw new InvalidInstantError('has an offset that no place has');
  }
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
