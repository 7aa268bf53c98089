import { SeededRandom } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { PollPace } from './poll-pace.js';

const LIMITS = { minIntervalMs: 250, maxIntervalMs: 30_000 };

function pace(): PollPace {
  return new PollPace(LIMITS, new SeededRandom());
}

/** A wait for what never comes by itself, and whether it was told that it is over. */
function waitOn(paced: PollPace, signal = new AbortController().signal) {
  const seen = { over: false, left: 0, wake: (): void => {} };
  void paced
    .wait(signal, (wake) => {
      seen.wake = wake;
      return () => void (seen.left += 1);
    })
    .then(() => {
      seen.over = true;
    });
  return seen;
}

describe('PollPace', () => {
  it('waits longer and longer while nothing happens, never outside its limits, never twice the same', () => {
    const paced = pace();
    const delays: number[] = [];
    for (let poll = 0; poll < 40; poll++) {
      delays.push(paced.nextDelayMs());
      paced.idled();
    }

    expect(Math.min(...delays)).toBeGreaterThanOrEqual(250);
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000);
    expect(delays.at(5)).toBeGreaterThan((delays.at(0) ?? 0) * 2);
    expect(delays.at(-1)).toBeGreaterThan(20_000);
    expect(new Set(delays.slice(1, 10)).size).toBe(9);
  });

  it('is quick again after something moved', () => {
    const paced = pace();
    for (let poll = 0; poll < 40; poll++) {
      paced.idled();
    }
    paced.moved();

    expect(paced.nextDelayMs()).toBeLessThanOrEqual(300);
  });

  it('ends a wait at a nudge', async () => {
    const paced = pace();
    const waiting = waitOn(paced);
    await settled();
    expect(waiting.over).toBe(false);

    paced.nudge();
    await settled();

    expect(waiting).toMatchObject({ over: true, left: 1 });
  });

  it('remembers a nudge that came while a poll ran, and counts several as one', async () => {
    const paced = pace();
    paced.begin();
    paced.nudge();
    paced.nudge();
    const none = waitOn(paced);
    await settled();
    expect(none).toMatchObject({ over: true, left: 0 });

    expect([paced.begin(), paced.begin()]).toEqual([true, false]);
    const waiting = waitOn(paced);
    await settled();
    expect(waiting.over).toBe(false);
  });

  it('ends a wait when the signal aborts', async () => {
    const abort = new AbortController();
    const waiting = waitOn(pace(), abort.signal);
    abort.abort();
    await settled();

    expect(waiting).toMatchObject({ over: true, left: 1 });
  });

  it('ends a wait when what it waits for wakes it, once', async () => {
    const paced = pace();
    const waiting = waitOn(paced);
    waiting.wake();
    await settled();
    expect(waiting).toMatchObject({ over: true, left: 1 });

    paced.nudge();
    await settled();
    expect(waiting.left).toBe(1);
  });
});

/** Everything that waits for nothing but its turn has had it. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await Promise.resolve();
  }
}
