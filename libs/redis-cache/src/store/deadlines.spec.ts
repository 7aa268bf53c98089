import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { Deadlines } from './deadlines.js';

describe('Deadlines', () => {
  it('fails each call when its own time is over, by one timer for all', async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(100, clock);
    const failed: string[] = [];
    deadlines.begin(() => failed.push('a'));
    await clock.advance(60);
    deadlines.begin(() => failed.push('b'));
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(40);
    expect(failed).toEqual(['a']);
    await clock.advance(59);
    expect(failed).toEqual(['a']);
    await clock.advance(1);
    expect(failed).toEqual(['a', 'b']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('fails no call that has ended, and says whether it had failed', async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(100, clock);
    const failed: string[] = [];
    const first = deadlines.begin(() => failed.push('a'));
    const second = deadlines.begin(() => failed.push('b'));
    expect(deadlines.end(first)).toBe(true);
    await clock.advance(100);
    expect(failed).toEqual(['b']);
    expect(deadlines.end(second)).toBe(false);
  });

  it('lets its timer go when nobody waits any more, and sets it again for who comes later', async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(100, clock);
    deadlines.end(deadlines.begin(() => {}));
    await clock.advance(100);
    expect(clock.pendingTimers).toBe(0);
    const failed: unknown[] = [];
    deadlines.begin((cause) => failed.push(cause));
    await clock.advance(100);
    expect(failed).toEqual([new Error('No answer within 100 ms.')]);
  });

  it('fails everybody when it closes, with what it is told, and leaves no timer', () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(100, clock);
    const failed: unknown[] = [];
    deadlines.begin((cause) => failed.push(cause));
    deadlines.close('closed');
    expect(failed).toEqual(['closed']);
    expect(clock.pendingTimers).toBe(0);
  });
});
