import { type ForecastComputed } from '@smartpulse/production-forecast-contract';
import { describe, expect, it } from 'vitest';
import { missingIntervalNotification } from './missing-interval.rule.js';
import { RULE_DEFAULTS } from './rule.options.js';

const event: ForecastComputed = {
  batchId: 'b1',
  provider: 'FinalForecast',
  unitType: 'PP',
  unitNo: 7,
  from: '2026-01-31T00:00:00.000Z',
  to: '2026-02-01T00:00:00.000Z',
  saved: 95,
  skipped: 0,
  gaps: [{ from: '2026-01-31T06:00:00.000Z', to: '2026-01-31T06:15:00.000Z' }],
  missingMinutes: 15,
  computedAt: '2026-01-30T10:00:00.000Z',
};

describe('missingIntervalNotification', () => {
  it('says nothing of a series without holes, or with shorter ones than asked for', () => {
    expect(missingIntervalNotification({ ...event, gaps: [], missingMinutes: 0 }, RULE_DEFAULTS)).toBeUndefined();
    expect(missingIntervalNotification(event, { missingMinutes: 30 })).toBeUndefined();
  });

  it('names the hole', () => {
    expect(missingIntervalNotification(event, RULE_DEFAULTS)).toMatchObject({
      rule: 'interval-missing',
      key: 'FinalForecast/PP/7/2026-01-31T06:00:00.000Z',
      description: expect.stringContaining('15 minutes are missing'),
    });
  });

  it('gives the same hole the same stamp whatever event tells it, and another hole another', () => {
    const stampOf = (one: ForecastComputed): string | undefined =>
      missingIntervalNotification(one, RULE_DEFAULTS)?.stamp;
    expect(stampOf({ ...event, batchId: 'b2', saved: 1 })).toBe(stampOf(event));
    expect(
      stampOf({ ...event, gaps: [{ from: '2026-01-31T06:00:00.000Z', to: '2026-01-31T06:30:00.000Z' }] }),
    ).not.toBe(stampOf(event));
  });
});
