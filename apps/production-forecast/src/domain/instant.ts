import { InvalidInstantError, utcDay, utcInstant } from '@smartpulse/data-sync';

/** Milliseconds of a minute. */
export const MINUTE_MS = 60_000;

const DAY_MS = 86_400_000;
/**
 * Reads an ISO 8601 instant **with offset** (`Z` or `+03:00`) as milliseconds since the Unix epoch. A local time means different instants
 * in different places, and twice a year two in one, so it is no instant.
 *
 * @returns `undefined` for anything else, also for days and times that do not exist.
 */
export function parseInstant(text: string): number | undefined {
  try {
    return Date.parse(utcInstant(text));
  } catch (error) {
    if (InvalidInstantError.is(error)) {
      return undefined;
    }
    throw error;
  }
}

/** The one text of an instant: UTC, milliseconds, `2026-01-31T23:45:00.000Z`. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

/** Begin and end (exclusive) of a UTC day, `2026-01-31`. */
export function utcDayRange(day: string): { readonly fromMs: number; readonly toMs: number } {
  const fromMs = Date.parse(`${day}T00:00:00.000Z`);
  return { fromMs, toMs: fromMs + DAY_MS };
}

/** The UTC days that the range `[fromMs, toMs)` touches, in order. */
export function utcDaysOf(fromMs: number, toMs: number): readonly string[] {
  const days: string[] = [];
  for (let ms = Math.floor(fromMs / DAY_MS) * DAY_MS; ms < toMs; ms += DAY_MS) {
    days.push(utcDay(formatInstant(ms)));
  }
  return days;
}
