import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInstantError } from '../data-sync.errors.js';
import { isInstantOfAnotherText, utcDay, utcInstant } from './utc-instant.js';

describe('utcInstant', () => {
  it.each([
    ['2026-03-29T03:30:00+02:00', '2026-03-29T01:30:00.000Z'],
    ['2026-03-29T01:30:00Z', '2026-03-29T01:30:00.000Z'],
    ['2026-12-31T23:45-01:00', '2027-01-01T00:45:00.000Z'],
    ['2024-02-29T12:00:00.5Z', '2024-02-29T12:00:00.500Z'],
    ['2026-01-01T00:00:00.123456Z', '2026-01-01T00:00:00.123Z'],
  ])('makes one text of %s', (given, expected) => {
    expect(utcInstant(given)).toBe(expected);
  });

  it('refuses a local time without an offset', () => {
    expect(() => utcInstant('2026-03-29T02:30:00')).toThrow(InvalidInstantError);
    expect(() => utcInstant('2026-03-29T02:30:00')).toThrow(/has no offset/);
  });

  it.each([
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-13-01T00:00:00Z',
  ])('refuses %s, which no calendar or clock has', (given) => {
    expect(() => utcInstant(given)).toThrow(InvalidInstantError);
  });

  it.each(['', 'yesterday', '2026-01-01', '2026-01-01 00:00:00Z', '2026-01-01T00:00:00+25:00', '1769900000000'])(
    'refuses "%s", which is no instant',
    (given) => {
      expect(() => utcInstant(given)).toThrow(InvalidInstantError);
    },
  );

  it('never repeats what it refuses', () => {
    expect(() => utcInstant('secret-token')).toThrow(/^(?!.*secret-token)/);
  });

  it('gives every offset of an instant the same text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -14 * 60, max: 14 * 60 }), (ms, minutes) => {
        const sign = minutes < 0 ? '-' : '+';
        const two = (number: number): string => String(Math.trunc(number)).padStart(2, '0');
        const offset = `${sign}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
        const local = new Date(ms + minutes * 60_000).toISOString().replace('Z', offset);
        expect(utcInstant(local)).toBe(new Date(ms).toISOString());
      }),
    );
  });

  it('takes a Date, and refuses an invalid one', () => {
    expect(utcInstant(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(() => utcInstant(new Date(Number.NaN))).toThrow(InvalidInstantError);
  });
});

describe('utcDay', () => {
  it('answers the UTC day, not the local one', () => {
    expect(utcDay('2026-03-29T01:30:00+03:00')).toBe('2026-03-28');
  });
});

describe('isInstantOfAnotherText', () => {
  it('tells the one text of an instant from its other texts', () => {
    expect(isInstantOfAnotherText('2026-03-29T01:30:00.000Z')).toBe(false);
    expect(isInstantOfAnotherText('2026-03-29T01:30:00Z')).toBe(true);
    expect(isInstantOfAnotherText('2026-03-29 01:30:00')).toBe(true);
    expect(isInstantOfAnotherText('2026-03-29')).toBe(false);
    expect(isInstantOfAnotherText('EPIAS')).toBe(false);
  });
});
