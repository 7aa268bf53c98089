import { describe, expect, it } from 'vitest';
import { SequenceWatch } from './sequence-watch.js';
import type { MessageOrigin } from './wire-message.js';

const HEARTBEAT_MS = 5_000;
const from = (epoch: string, sequence: number): MessageOrigin => ({ source: 'a', epoch, sequence });

// Without the numbers, a message that is lost on a line that stands leaves the first level stale for ever.
describe('SequenceWatch', () => {
  it('notices a message that was lost while the line stood, by the next one and by the next sign of life', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    expect(watch.misses(from('x', 1), false)).toBe(false);
    expect(watch.misses(from('x', 3), false)).toBe(true);
    expect(watch.misses(from('x', 4), false)).toBe(false);
    expect(watch.misses(from('x', 5), true)).toBe(true);
  });

  it('takes duplicates, signs of life without news, and those it has not heard of before, as nothing missing', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    expect(watch.misses(from('x', 7), false)).toBe(false);
    expect(watch.misses(from('x', 7), false)).toBe(false);
    expect(watch.misses(from('x', 7), true)).toBe(false);
    expect(watch.misses(from('y', 900), true)).toBe(false);
    expect(watch.misses(from('x', 8), false)).toBe(false);
  });

  it('counts a life of a process for itself, whatever its writers are called', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    watch.misses(from('before', 41), false);
    expect(watch.misses(from('after', 1), false)).toBe(false);
    expect(watch.misses(from('after', 2), false)).toBe(false);
  });

  it('begins anew on another connection, whose distrust covers what was missed', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    watch.misses(from('x', 1), false);
    watch.clear(0);
    expect(watch.misses(from('x', 9), false)).toBe(false);
  });

  it('says once, two signs of life after the subscription, whether anybody was heard of whose earlier numbers nobody knows', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    watch.clear(0);
    expect(watch.misses(from('x', 9), true)).toBe(false);
    expect(watch.settles(2 * HEARTBEAT_MS - 1)).toBe(false);
    expect([watch.settles(2 * HEARTBEAT_MS), watch.settles(9 * HEARTBEAT_MS)]).toEqual([true, false]);
    watch.clear(100_000);
    // Of these everything is known: they have said nothing yet, or now for the first time, or it is our own.
    watch.know(from('own', 7));
    watch.misses(from('own', 8), false);
    watch.misses(from('x', 0), true);
    watch.misses(from('y', 1), false);
    expect(watch.settles(200_000)).toBe(false);
  });

  it('takes the first that it hears of a process for its first message, once everybody has been heard of who was there before', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    watch.clear(0);
    watch.settles(2 * HEARTBEAT_MS);
    expect([watch.misses(from('a', 1), false), watch.misses(from('b', 0), true)]).toEqual([false, false]);
    expect([watch.misses(from('c', 2), false), watch.misses(from('d', 1), true)]).toEqual([true, true]);
    expect([watch.misses(from('c', 3), false), watch.misses(from('d', 1), true)]).toEqual([false, false]);
  });

  it('takes whom it may have forgotten as they come', () => {
    const watch = new SequenceWatch(HEARTBEAT_MS);
    watch.clear(0);
    watch.settles(2 * HEARTBEAT_MS);
    for (let process = 0; process <= 10_000; process++) {
      expect(watch.misses(from(`p${process}`, 1), false)).toBe(false);
    }
    expect(watch.misses(from('p0', 2), false)).toBe(false);
  });
});
