import { describe, expect, it } from 'vitest';
import { formatInstant, parseInstant, utcDayRange, utcDaysOf } from './instant.js';

describe('parseInstant', () => {
  it.each([
    ['2026-01-31T23:45:00Z', '2026-01-31T23:45:00.000Z'],
    ['2026-02-01T02:45:00+03:00', '2026-01-31T23:45:00.000Z'],
    ['2026-01-31T18:15:00.500-05:30', '2026-01-31T23:45:00.500Z'],
    ['2026-02-01T02:45+03:00', '2026-01-31T23:45:00.000Z'],
  ])('reads %s as the instant %s', (text, instant) => {
    expect(formatInstant(parseInstant(text) ?? Number.NaN)).toBe(instant);
  });

  it.each([
    ['a local time, which is no instant', '2026-01-31T23:45:00'],
    ['a day without a time', '2026-01-31'],
    ['the 30th of February', '2026-02-30T00:00:00Z'],
    ['an hour that no clock has', '2026-01-31T24:30:00Z'],
    ['a plus that an address turned into a blank', '2026-01-31T23:45:00 03:00'],
    ['prose', 'tomorrow'],
  ])('refuses %s', (_what, text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});

describe('utcDaysOf', () => {
  it('names every UTC day that a range touches and none that begins where it ends', () => {
    const fromMs = Date.UTC(2026, 0, 30, 23);
    expect(utcDaysOf(fromMs, Date.UTC(2026, 1, 1))).toEqual(['2026-01-30', '2026-01-31']);
    expect(utcDaysOf(fromMs, Date.UTC(2026, 1, 1, 0, 5))).toEqual(['2026-01-30', '2026-01-31', '2026-02-01']);
  });

  it('gives each day its own 24 hours', () => {
    const { fromMs, toMs } = utcDayRange('2026-03-29');
    expect([formatInstant(fromMs), formatInstant(toMs)]).toEqual([
      '2026-03-29T00:00:00.000Z',
      '2026-03-30T00:00:00.000Z',
    ]);
  });
});
