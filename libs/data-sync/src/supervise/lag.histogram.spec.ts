import { describe, expect, it } from 'vitest';
import { LagHistogram } from './lag.histogram.js';

describe('LagHistogram', () => {
  it('knows nothing without a sample', () => {
    expect(new LagHistogram().snapshot()).toEqual({ count: 0, p50Ms: null, p99Ms: null, maxMs: null });
  });

  it('answers the bound of the bucket that holds the percentile, never more than the largest sample', () => {
    const lag = new LagHistogram();
    for (let ms = 1; ms <= 100; ms++) {
      lag.record(ms);
    }
    expect(lag.snapshot()).toEqual({ count: 100, p50Ms: 50, p99Ms: 100, maxMs: 100 });
    lag.record(2_000_000);
    expect(lag.snapshot()).toMatchObject({ p50Ms: 75, maxMs: 2_000_000 });
  });

  it('takes a negative duration, of clocks that disagree, for none', () => {
    const lag = new LagHistogram();
    lag.record(-5);
    expect(lag.snapshot()).toMatchObject({ p50Ms: 0, maxMs: 0 });
  });
});
