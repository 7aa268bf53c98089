import { generateSeries, type SmokeOptions, type SmokeReport, tellSmokeStory } from '@smartpulse/demo';
import { SeededRandom, SystemClock } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';

/** The story in small: 6 units, 4 days. */
function tell(options: Partial<SmokeOptions> = {}): Promise<SmokeReport> {
  const random = new SeededRandom(1);
  const series = generateSeries(random).map((region) => ({ ...region, intervals: region.intervals.slice(0, 4 * 96) }));
  return tellSmokeStory({ clock: new SystemClock(), random, series, unitCount: 6, measuredDays: 1, ...options });
}

describe('the whole story', () => {
  it('loses nothing between a commit and the caches of two replicas, with the writer restarted in the middle', async () => {
    const report = await tell();

    expect(report.losses).toEqual({ rows: 0, events: 0, values: 0 });
    expect(report.committedRows).toBe(6 * 4 * 96 + 36 + 6 * 96);
    expect(report).toMatchObject({ lost: 0, sumsAreExact: true, quiet: true });
    expect(report.applied).toBeGreaterThan(0);
    expect(report.deliveredEnvelopes).toBeGreaterThanOrEqual(report.publishedEnvelopes);
    expect(report.notifications).toBeGreaterThan(0);
  });

  it('shows a loss when nobody applies changes to the cache', async () => {
    const report = await tell({ apply: false });

    expect(report.losses.values).toBeGreaterThan(0);
  });

  it('shows a loss when the backplane delivers nothing', async () => {
    const report = await tell({ backplane: false });

    expect(report.losses.values).toBeGreaterThan(0);
  });
});
