import { SeededRandom } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateSeries } from './generate-series.js';
import { readSeries, SeriesFormatError } from './read-series.js';
import type { RegionSeries } from './series.js';
import { splitPower, splitUnits } from './split-units.js';

describe('generateSeries', () => {
  it('gives the same three regions of 2,688 quarter hours for the same seed', () => {
    const first = generateSeries(new SeededRandom(7));

    expect(first).toEqual(generateSeries(new SeededRandom(7)));
    expect(first).not.toEqual(generateSeries(new SeededRandom(8)));
    expect(first.map(({ intervals }) => intervals.length)).toEqual([2_688, 2_688, 2_688]);
  });

  it('errs as much as published forecasts do: a root mean square of 5 to 16 % of the largest power', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      for (const region of generateSeries(new SeededRandom(seed))) {
        const share = errorShare(region);
        expect(share, `${region.zone} ${region.technology} seed ${seed}`).toBeGreaterThan(0.05);
        expect(share, `${region.zone} ${region.technology} seed ${seed}`).toBeLessThan(0.16);
      }
    }
  });

  it('repeats hourly forecasts four times where the region forecasts by the hour', () => {
    const coast = generateSeries(new SeededRandom(1)).filter(({ zone }) => zone === 'Coast');
    for (const { intervals } of coast) {
      intervals.forEach((interval, index) => expect(interval.forecast).toBe(intervals[index - (index % 4)]?.forecast));
    }
  });

  it('knows no sun at night and calms as well as full power in the wind', () => {
    const [inland, , sun] = generateSeries(new SeededRandom(1));
    const nights = (sun?.intervals ?? []).filter((_, index) => index % 96 < 28);
    const wind = (inland?.intervals ?? []).map(({ actual }) => actual).sort((a, b) => a - b);

    expect(nights).toHaveLength(28 * 28);
    expect(nights.every(({ actual, forecast }) => actual === 0 && forecast === 0)).toBe(true);
    expect(wind[Math.floor(wind.length / 10)] ?? 0).toBeLessThan(0.1 * (wind.at(-1) ?? 0));
    expect(wind.at(-1) ?? 0).toBeGreaterThan(15_000);
  });
});

describe('readSeries', () => {
  const header = 'zone,technology,interval_start,forecast_mw,actual_mw';

  it('reads power in hundredths and time by its offset', () => {
    const [region] = readSeries(
      `${header}\nA,wind,2026-02-01T00:00:00+01:00,64,40.5\nA,wind,2026-02-01T00:15:00+01:00,0.07,1\n`,
    );

    expect(region?.intervals).toEqual([
      { startMs: Date.UTC(2026, 0, 31, 23), forecast: 6_400, actual: 4_050 },
      { startMs: Date.UTC(2026, 0, 31, 23, 15), forecast: 7, actual: 100 },
    ]);
  });

  it.each([
    ['a gap in time', 'A,wind,2026-02-01T00:00:00+01:00,1,1\nA,wind,2026-02-01T00:30:00+01:00,1,1', 'Line 3'],
    ['a time without an offset', 'A,wind,2026-02-01T00:00:00,1,1', 'offset'],
    ['a power below zero', 'A,wind,2026-02-01T00:00:00Z,-1,1', 'forecast_mw'],
    ['a missing column', 'A,wind,2026-02-01T00:00:00Z,1', '5 columns'],
    ['a time between quarter hours', 'A,wind,2026-02-01T00:07:00Z,1,1', 'aligned'],
  ])('refuses %s and names the line', (_, rows, problem) => {
    expect(() => readSeries(`${header}\n${rows}`)).toThrow(SeriesFormatError);
    expect(() => readSeries(`${header}\n${rows}`)).toThrow(problem);
  });
});

describe('splitUnits', () => {
  it('makes 50 units of three regions', () => {
    const split = splitUnits(generateSeries(new SeededRandom(1)), 50);

    expect(split.map(({ units }) => units.length)).toEqual([17, 17, 16]);
    expect(new Set(split.flatMap(({ units }) => units.map(({ unitNo }) => unitNo))).size).toBe(50);
  });

  it('splits every power exactly, to the hundredth', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000 }), fc.integer({ min: 1, max: 60 }), (total, count) => {
        const [split] = splitUnits([{ zone: 'A', technology: 'wind', intervals: [] }], count);
        const parts = splitPower(total, split?.shares ?? []);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(total);
        expect(parts.every((part) => part >= 0)).toBe(true);
      }),
    );
  });
});

function errorShare({ intervals }: RegionSeries): number {
  const largest = Math.max(...intervals.map(({ actual, forecast }) => Math.max(actual, forecast)));
  const squares = intervals.reduce((sum, { actual, forecast }) => sum + (actual - forecast) ** 2, 0);
  return Math.sqrt(squares / intervals.length) / largest;
}
