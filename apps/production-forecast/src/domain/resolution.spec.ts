import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Delivery } from './delivery.js';
import { MINUTE_MS } from './instant.js';
import { aggregate } from './resolution.js';

const START = Date.UTC(2026, 0, 31);

function deliveries(minutes: number, ...values: readonly (number | undefined)[]): readonly Delivery[] {
  return values.flatMap((hundredths, index) => {
    const startMs = START + index * minutes * MINUTE_MS;
    return hundredths === undefined ? [] : [{ startMs, endMs: startMs + minutes * MINUTE_MS, hundredths }];
  });
}

describe('aggregate', () => {
  it('answers the mean power of each bucket, rounded half away from zero', () => {
    expect(aggregate(deliveries(15, 100, 101, 100, 101, 7), 60)).toEqual([
      { startMs: START, endMs: START + 60 * MINUTE_MS, hundredths: 101, complete: true },
      { startMs: START + 60 * MINUTE_MS, endMs: START + 120 * MINUTE_MS, hundredths: 7, complete: false },
    ]);
  });

  it('weighs deliveries of different length by their time', () => {
    const mixed = [
      ...deliveries(30, 300),
      { startMs: START + 30 * MINUTE_MS, endMs: START + 40 * MINUTE_MS, hundredths: 700 },
    ];
    expect(aggregate(mixed, 60)).toEqual([
      { startMs: START, endMs: START + 60 * MINUTE_MS, hundredths: 400, complete: false },
    ]);
  });

  it('leaves out buckets without any delivery instead of inventing them', () => {
    expect(aggregate(deliveries(30, 5, 5, undefined, undefined, 9), 60)).toMatchObject([
      { hundredths: 5 },
      { hundredths: 9 },
    ]);
  });

  it('refuses a resolution that is no multiple of the stored period, because it would have to interpolate', () => {
    expect(aggregate(deliveries(60, 5), 15)).toEqual({ storedMinutes: 60 });
    expect(aggregate(deliveries(10, 5), 15)).toEqual({ storedMinutes: 10 });
  });

  it('keeps the energy up to half a hundredth per bucket', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 4, maxLength: 4 }), (values) => {
        const buckets = aggregate(deliveries(15, ...values), 60);
        const exact = values.reduce((sum, value) => sum + value, 0) / 4;
        expect(
          Math.abs(('storedMinutes' in buckets ? Number.NaN : (buckets[0]?.hundredths ?? Number.NaN)) - exact),
        ).toBeLessThanOrEqual(0.5);
      }),
    );
  });
});
