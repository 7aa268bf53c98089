import { SeededRandom } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { PageLimit } from './page-limit.js';
import { RetentionWatch } from './retention-watch.js';
import { retryDelayMs } from './retry-delay.js';
import { TRACKER_DEFAULTS } from './tracker.options.js';

const { errorBackoff } = TRACKER_DEFAULTS;
const random = new SeededRandom();
const range = (kind: Parameters<typeof retryDelayMs>[0], attempts: number): readonly [number, number] => {
  const delays = Array.from({ length: 200 }, () => retryDelayMs(kind, attempts, errorBackoff, random));
  return [Math.min(...delays), Math.max(...delays)];
};

describe('retryDelayMs', () => {
  it('tries the loser of a deadlock again at once, three times, and then waits as after any error', () => {
    for (const attempts of [1, 2, 3]) {
      expect(range('contention', attempts)[1]).toBeLessThan(51);
    }
    expect(range('contention', 4)[0]).toBeGreaterThanOrEqual(50);
    expect(range('contention', 20)[0]).toBeGreaterThanOrEqual(15_000);
  });

  it('gives a server that asks for patience ten seconds and more', () => {
    expect(range('overload', 1)[0]).toBeGreaterThanOrEqual(5_000);
    expect(range('overload', 9)[1]).toBeLessThanOrEqual(30_000);
  });

  it('looks about once a minute at what somebody must change', () => {
    for (const attempts of [1, 2, 50]) {
      const [least, most] = range('configuration', attempts);
      expect([least >= 30_000, most <= 60_000]).toEqual([true, true]);
    }
  });

  it('waits longer and longer in an outage, up to the bound', () => {
    expect(range('outage', 1)[1]).toBeLessThanOrEqual(100);
    expect(range('outage', 100)[1]).toBeLessThanOrEqual(30_000);
    expect(range('timeout', 1)[1]).toBeLessThanOrEqual(100);
  });
});

describe('PageLimit', () => {
  it('halves down to 50 and grows back to where it was after a row of successes', () => {
    const limit = new PageLimit(1_000);
    const halved = [500, 250, 125, 62, 50, 50];
    expect(halved.map(() => (limit.halve(), limit.rows))).toEqual(halved);
    const sizes = new Set<number>();
    for (let page = 0; page < 100; page++) {
      limit.succeeded();
      sizes.add(limit.rows);
    }
    expect([...sizes]).toEqual([50, 100, 200, 400, 800, 1_000]);
  });

  it('never asks for more than it was told', () => {
    const limit = new PageLimit(20);
    limit.halve();
    expect(limit.rows).toBe(20);
  });
});

describe('RetentionWatch', () => {
  it('tells once per threshold, and again after the reader had caught up', () => {
    const told: string[] = [];
    const watch = new RetentionWatch({
      warn: (text: string) => void told.push(`warn ${text}`),
      error: (text: string) => void told.push(`error ${text}`),
    });
    for (const used of [null, 0.1, 0.5, 0.6, 0.79, 0.8, 0.95, 0, 0.55]) {
      watch.see(used);
    }

    expect(told.map((text) => text.split(' It was up to date last ').map((part) => part.split(' ')[0]))).toEqual([
      ['warn', '50'],
      ['error', '80'],
      ['warn', '55'],
    ]);
  });
});
