import { SeededRandom } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { generateSeries } from '../data/generate-series.js';
import { planFeed, STATED_ERROR } from './feed-plan.js';

describe('planFeed', () => {
  const plan = planFeed(generateSeries(new SeededRandom(1)), 50, 2);

  it('saves 134,400 rows in bulk, at most 5,000 a request', () => {
    expect(plan.bulk.reduce((rows, { values }) => rows + values.length, 0)).toBe(134_400);
    expect(plan.bulk.every(({ values }) => values.length <= 5_000)).toBe(true);
  });

  it('restores by at least 2,000 corrections exactly what was saved off by the stated error', () => {
    const saved = new Map(
      plan.bulk.flatMap(({ path, values }) => values.map((value) => [`${path.unitNo} ${value.startMs}`, value.value])),
    );
    for (const { path, values } of plan.corrections) {
      for (const { startMs, value } of values) {
        expect(saved.get(`${path.unitNo} ${startMs}`)).toBe(value + STATED_ERROR);
        saved.set(`${path.unitNo} ${startMs}`, value);
      }
    }
    const sums = new Map<string, number>();
    for (const { region, units } of plan.regions) {
      for (const { unitNo } of units) {
        for (const { startMs } of region.intervals) {
          const name = `${region.zone} ${region.technology} ${startMs}`;
          sums.set(name, (sums.get(name) ?? 0) + (saved.get(`${unitNo} ${startMs}`) ?? 0));
        }
      }
      for (const { startMs, forecast } of region.intervals) {
        expect(sums.get(`${region.zone} ${region.technology} ${startMs}`)).toBe(forecast);
      }
    }
    expect(plan.corrections.length).toBeGreaterThanOrEqual(2_000);
  });

  it('plans measurements by day of a unit', () => {
    expect(plan.measurements).toHaveLength(100);
    expect(plan.measurements.every(({ values }) => values.length === 96)).toBe(true);
  });
});
