import { INTERVAL_MS, type RegionSeries } from '../data/series.js';
import { type RegionUnits, splitPower, splitUnits } from '../data/split-units.js';
import { type IntervalValue, type SeriesPath } from './forecast.client.js';

/** By how much a row that will be corrected is saved off at first: 10.00 MW too high. */
export const STATED_ERROR = 1_000;

/** Every how many rows one is saved off: about 2,100 of 134,400. */
const ROWS_PER_CORRECTION = 64;

const INTERVALS_PER_DAY = 96;

/** One save to make. */
export interface PlannedSave {
  readonly path: SeriesPath;
  readonly values: readonly IntervalValue[];
}

/** Everything that will be saved, in three parts. */
export interface FeedPlan {
  readonly regions: readonly RegionUnits[];
  /** One save per unit: its whole month, some rows off by {@link STATED_ERROR}. */
  readonly bulk: readonly PlannedSave[];
  /** Small saves that restore the right shares. */
  readonly corrections: readonly PlannedSave[];
  /** Metered production, a day of a unit each, in order of time. */
  readonly measurements: readonly PlannedSave[];
}

/**
 * Plans what a month of several regions becomes when it is split into `unitCount` units.
 *
 * @param measuredDays for how many days, from the first, measurements are planned.
 */
export function planFeed(series: readonly RegionSeries[], unitCount: number, measuredDays: number): FeedPlan {
  const regions = splitUnits(series, unitCount);
  const bulk: PlannedSave[] = [];
  const corrections: PlannedSave[] = [];
  const measurements: PlannedSave[] = [];
  let row = 0;
  for (const { region, units, shares } of regions) {
    const forecasts = region.intervals.map(({ forecast }) => splitPower(forecast, shares));
    const actuals = region.intervals
      .slice(0, measuredDays * INTERVALS_PER_DAY)
      .map(({ actual }) => splitPower(actual, shares));
    for (const { unitNo, index } of units) {
      const right = valuesOf(region, forecasts, index);
      const off = right.map((value) => {
        row += 1;
        return row % ROWS_PER_CORRECTION === 0 ? { ...value, value: value.value + STATED_ERROR } : value;
      });
      const path: SeriesPath = { provider: 'FinalForecast', unitNo };
      bulk.push({ path, values: off });
      corrections.push(
        ...right
          .filter((value, place) => value.value !== off[place]?.value)
          .map((value) => ({ path, values: [value] })),
      );
      measurements.push(
        ...daysOf(valuesOf(region, actuals, index)).map((values) => ({
          path: { provider: 'Measured' as const, unitNo },
          values,
        })),
      );
    }
  }
  const byTime = (a: PlannedSave, b: PlannedSave): number => (a.values[0]?.startMs ?? 0) - (b.values[0]?.startMs ?? 0);
  return {
    regions,
    bulk,
    corrections: corrections.sort(byTime),
    measurements: measurements.sort(byTime),
  };
}

/** The range of a region's month in milliseconds since the Unix epoch; the end is exclusive. Regions may show different months. */
export function rangeOf({ intervals }: RegionSeries): { readonly fromMs: number; readonly toMs: number } {
  return { fromMs: intervals[0]?.startMs ?? 0, toMs: (intervals.at(-1)?.startMs ?? 0) + INTERVAL_MS };
}

function valuesOf(
  region: RegionSeries,
  parts: readonly (readonly number[])[],
  index: number,
): readonly IntervalValue[] {
  return parts.map((part, place) => ({ startMs: region.intervals[place]?.startMs ?? 0, value: part[index] ?? 0 }));
}

function daysOf(values: readonly IntervalValue[]): readonly (readonly IntervalValue[])[] {
  return Array.from({ length: Math.ceil(values.length / INTERVALS_PER_DAY) }, (_, day) =>
    values.slice(day * INTERVALS_PER_DAY, (day + 1) * INTERVALS_PER_DAY),
  );
}
