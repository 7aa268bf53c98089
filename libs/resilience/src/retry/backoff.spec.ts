import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../random/seeded.random.js';
import { BACKOFF_DEFAULTS, backoffDelayMs } from './backoff.js';

const plain = { ...BACKOFF_DEFAULTS, jitter: 'none' } as const;
const random = new SeededRandom();

describe('backoffDelayMs', () => {
  it('doubles from 100 ms and stops at the cap', () => {
    const delays = [1, 2, 3, 4, 5, 10, 2_000].map((attempt) => backoffDelayMs(plain, attempt, random));

    expect(delays).toEqual([100, 200, 400, 800, 1_600, 30_000, 30_000]);
  });

  it('is a fixed interval with multiplier 1', () => {
    expect(backoffDelayMs({ ...plain, multiplier: 1 }, 7, random)).toBe(100);
  });

  it('keeps half of the delay with equal jitter, nothing with full jitter, and never exceeds it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer(), (attempt, seed) => {
        const whole = backoffDelayMs(plain, attempt, random);
        const equal = backoffDelayMs({ ...plain, jitter: 'equal' }, attempt, new SeededRandom(seed));
        const full = backoffDelayMs({ ...plain, jitter: 'full' }, attempt, new SeededRandom(seed));
        expect(equal).toBeGreaterThanOrEqual(whole / 2);
        expect(equal).toBeLessThanOrEqual(whole);
        expect(full).toBeGreaterThanOrEqual(0);
        expect(full).toBeLessThanOrEqual(whole);
      }),
    );
  });
});
