import { type ForecastRow } from '@smartpulse/production-forecast-contract';
import { describe, expect, it } from 'vitest';
import { type Correction, correctionNotification, isBeyondThreshold } from './correction.rule.js';
import { RULE_DEFAULTS } from './rule.options.js';

function correction(
  deliveryStart: string,
  previousHundredths: number,
  valueHundredths: number,
  stamp = '1',
): Correction {
  const row: ForecastRow = {
    provider: 'FinalForecast',
    unitType: 'PP',
    unitNo: 7,
    deliveryStart,
    deliveryEnd: deliveryStart,
    periodMinutes: 15,
    valueHundredths,
    batchId: 'b',
  };
  return { row, previousHundredths, stamp };
}

describe('isBeyondThreshold', () => {
  it.each([
    ['a large plant that changes by 10 MW of 200', 20_000, 21_000, false],
    ['a small plant that doubles by 1 MW', 100, 200, false],
    ['a rise that reaches both thresholds exactly', 2_000, 2_500, true],
    ['a fall to zero', 2_500, 0, true],
    ['a start from zero', 0, 500, true],
    ['no change', 500, 500, false],
  ])('judges %s', (_what, previous, value, expected) => {
    expect(isBeyondThreshold(correction('2026-01-31T00:00:00.000Z', previous, value), RULE_DEFAULTS)).toBe(expected);
  });
});

describe('correctionNotification', () => {
  it('says nothing when nothing was corrected', () => {
    expect(correctionNotification([])).toBeUndefined();
  });

  it('says a corrected day once, with its largest change and its newest stamp', () => {
    expect(
      correctionNotification([
        correction('2026-01-31T00:00:00.000Z', 1_000, 2_000, '7'),
        correction('2026-01-31T00:15:00.000Z', 1_000, 4_000, '9'),
        correction('2026-01-31T00:30:00.000Z', 1_000, 3_000, '8'),
      ]),
    ).toEqual({
      rule: 'forecast-corrected',
      key: 'FinalForecast/PP/7/2026-01-31T00:00:00.000Z',
      stamp: '9',
      title: 'FinalForecast of PP 7 corrected',
      description:
        '3 deliveries corrected beyond the threshold, from 2026-01-31T00:00:00.000Z. ' +
        'Largest change at 2026-01-31T00:15:00.000Z: 10.00 to 40.00 MW.',
    });
  });
});
