import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/virtual.clock.js';
import { DeadlineList } from './deadline-list.js';

describe('DeadlineList', () => {
  it('fires never early and at most one slot late, on one timer, in the order of time', async () => {
    const clock = new VirtualClock();
    const list = new DeadlineList(clock);
    const fired: [number, number][] = [];
    for (const delayMs of [95, 12, 200, 13, 0]) {
      list.add(delayMs, { expire: () => fired.push([delayMs, clock.monotonic()]) });
    }
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(300);

    expect(fired.map(([delayMs]) => delayMs)).toEqual([0, 12, 13, 95, 200]);
    expect(fired.every(([delayMs, atMs]) => atMs >= delayMs && atMs < delayMs + 10)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('keeps one timer for many deadlines that are dropped in time, and none afterwards', async () => {
    const clock = new VirtualClock();
    const list = new DeadlineList(clock);
    let fired = 0;
    for (let call = 0; call < 1_000; call++) {
      list.add(1_000 + call, { expire: () => (fired += 1) })();
    }
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(5_000);

    expect(fired).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('fires deadlines that were set while others fired', async () => {
    const clock = new VirtualClock();
    const list = new DeadlineList(clock);
    const firedMs: number[] = [];
    list.add(10, { expire: () => void list.add(10, { expire: () => firedMs.push(clock.monotonic()) }) });
    await clock.advance(100);

    expect(firedMs).toEqual([20]);
  });
});
