import { describe, expect, it } from 'vitest';
import { eventLine } from './wire.events.js';

describe('what the log says of the wire client', () => {
  it.each([
    [
      { type: 'connection-lost', address: 'pulsar://b:6650', cause: new Error('reset') },
      'warn',
      /pulsar:\/\/b:6650.*reset/,
    ],
    [{ type: 'attach-failed', topic: 't', attempt: 3, cause: 'busy' }, 'warn', /t cannot.*attempt 3: busy/],
    [
      { type: 'entry-dropped', topic: 't', entry: '1:2', cause: new Error('damaged') },
      'error',
      /Entry 1:2 of t.*damaged/,
    ],
    [{ type: 'listener-failed', topic: 't', cause: new Error('oops') }, 'error', /threw: oops/],
    [{ type: 'producer-attached', topic: 't', resentFrames: 4 }, 'log', /4 frames again/],
    [{ type: 'unexpected-command', address: 'a', command: 'x' }, 'warn', /a sent something unexpected: x/],
  ] as const)('tells %o', (event, level, text) => {
    const line = eventLine(event);
    expect(line?.level).toBe(level);
    expect(line?.text).toMatch(text);
  });

  it('keeps silent about what mends itself', () => {
    expect(eventLine({ type: 'producer-attached', topic: 't', resentFrames: 0 })).toBeUndefined();
    expect(eventLine({ type: 'consumer-detached', topic: 't', cause: undefined })).toBeUndefined();
  });
});
