import { describe, expect, it } from 'vitest';
import { SequenceWatch } from './sequence-watch.js';
import type { MessageOrigin } from './wire-message.js';

const from = (epoch: string, sequence: number): MessageOrigin => ({ source: 'a', epoch, sequence });

// Without the numbers, a message that is lost on a line that stands leaves the first level stale for ever.
describe('SequenceWatch', () => {
  it('notices a message that was lost while the line stood, by the next one and by the next sign of life', () => {
    const watch = new SequenceWatch();
    expect(watch.misses(from('x', 1), false)).toBe(false);
    expect(watch.misses(from('x', 3), false)).toBe(true);
    expect(watch.misses(from('x', 4), false)).toBe(false);
    expect(watch.misses(from('x', 5), true)).toBe(true);
  });

  it('takes duplicates, signs of life without news, and those it has not heard of before, as nothing missing', () => {
    const watch = new SequenceWatch();
    expect(watch.misses(from('x', 7), false)).toBe(false);
    expect(watch.misses(from('x', 7), false)).toBe(false);
    expect(watch.misses(from('x', 7), true)).toBe(false);
    expect(watch.misses(from('y', 900), true)).toBe(false);
    expect(watch.misses(from('x', 8), false)).toBe(false);
  });

  it('counts a life of a process for itself, whatever its writers are called', () => {
    const watch = new SequenceWatch();
    watch.misses(from('before', 41), false);
    expect(watch.misses(from('after', 1), false)).toBe(false);
    expect(watch.misses(from('after', 2), false)).toBe(false);
  });

  it('begins anew on another connection, whose distrust covers what was missed', () => {
    const watch = new SequenceWatch();
    watch.misses(from('x', 1), false);
    watch.clear();
    expect(watch.misses(from('x', 9), false)).toBe(false);
  });
});
