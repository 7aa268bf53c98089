import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { PollPace, type Waiting } from './poll-pace.js';

const LIMITS = { minIntervalMs: 250, maxIntervalMs: 30_000 };

function pace() {
  const clock = new VirtualClock();
  return { clock, pace: new PollPace(LIMITS, clock, new SeededRandom()) };
}

/** Where a wait is. */
function watch(waiting: Promise<void>): { over: boolean } {
  const seen = { over: false };
  void waiting.then(() => {
    seen.over = true;
  });
  return seen;
}

describe('PollPace', () => {
  it('waits longer and longer while nothing happens, never outside its limits, never twice the same', () => {
    const { pace: paced } = pace();
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
    const { pace: paced } = pace();
    for (let poll = 0; poll < 40; poll++) {
      paced.idled();
    }
    paced.moved();

    expect(paced.nextDelayMs()).toBeLessThanOrEqual(300);
  });

  it('ends a wait at a nudge, and leaves no timer', async () => {
    const { clock, pace: paced } = pace();
    const waiting = watch(paced.wait(10_000, new AbortController().signal));
    await clock.settle();
    expect(waiting.over).toBe(false);

    paced.nudge();
    await clock.settle();

    expect(waiting.over).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('remembers a nudge that came while a poll ran, and counts several as one', async () => {
    const { clock, pace: paced } = pace();
    const { signal } = new AbortController();
    paced.begin();
    paced.nudge();
    paced.nudge();
    await paced.wait(10_000, signal);

    paced.begin();
    const waiting = watch(paced.wait(10_000, signal));
    await clock.settle();
    expect(waiting.over).toBe(false);
    await clock.advance(10_000);
    expect(waiting.over).toBe(true);
  });

  it('ends a wait when the signal aborts', async () => {
    const { clock, pace: paced } = pace();
    const abort = new AbortController();
    const waiting = paced.wait(10_000, abort.signal);
    abort.abort();
    await waiting;

    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a wait be held, begun again and ended by whoever listens to it, and tells when it is over', async () => {
    const { clock, pace: paced } = pace();
    const given: Waiting[] = [];
    let over = 0;
    const ended = watch(
      paced.wait(1_000, new AbortController().signal, (waiting) => {
        given.push(waiting);
        return () => void (over += 1);
      }),
    );
    given[0]?.hold();
    await clock.advance(5_000);
    expect(ended.over).toBe(false);
    given[0]?.again(1_000);
    await clock.advance(999);
    expect([ended.over, over]).toEqual([false, 0]);
    await clock.advance(1);
    expect([ended.over, over, clock.pendingTimers]).toEqual([true, 1, 0]);
  });
});
