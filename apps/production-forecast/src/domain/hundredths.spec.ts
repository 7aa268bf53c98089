import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideRounded, fromHundredths, toHundredths } from './hundredths.js';

describe('toHundredths', () => {
  it.each([
    [0, 0],
    [1.005, 101],
    [1.0049, 100],
    [2.675, 268],
    [12.34, 1_234],
    [0.005, 1],
    [0.0049, 0],
    [5e-7, 0],
    [0.05, 5],
    [0.1, 10],
    [99_999.995, 10_000_000],
    [1e21, 1e23],
    [1.5e-3, 0],
    [-1.005, -101],
    [-0.004, 0],
  ])('rounds %d MW to %d hundredths, half away from zero by what the client wrote', (megawatts, hundredths) => {
    expect(toHundredths(megawatts)).toBe(hundredths);
  });

  it('gives back every number of hundredths', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000_000 }), (hundredths) => {
        expect(toHundredths(fromHundredths(hundredths))).toBe(hundredths);
        expect(toHundredths(Number((hundredths / 100).toFixed(2)))).toBe(hundredths);
      }),
    );
  });
});

describe('divideRounded', () => {
  it('rounds the half away from zero', () => {
    expect([
      divideRounded(5, 2),
      divideRounded(-5, 2),
      divideRounded(7, 3),
      divideRounded(8, 3),
      divideRounded(6, 3),
    ]).toEqual([3, -3, 2, 3, 2]);
  });
});
