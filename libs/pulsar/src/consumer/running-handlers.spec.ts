import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type HandlerRun, RunningHandlers } from './running-handlers.js';

const TIMES = { topic: 't', timeoutMs: 1_000, abortGraceMs: 100 };

function open(timeoutMs = TIMES.timeoutMs) {
  const clock = new VirtualClock();
  const givenUp: HandlerRun[] = [];
  const handlers = new RunningHandlers({ ...TIMES, timeoutMs, clock }, (run) => {
    givenUp.push(run);
    handlers.end(run);
  });
  const stop = new AbortController();
  return { clock, givenUp, handlers, stop, begin: () => handlers.begin(stop.signal) };
}

describe('RunningHandlers', () => {
  it('serves all runs by one timer, and ends each at its own time', async () => {
    const { begin, clock, handlers } = open();
    const first = begin();
    await clock.advance(400);
    const [second, third] = [begin(), begin()];
    expect(clock.pendingTimers).toBe(1);
    handlers.end(second);
    await clock.advance(600);
    expect([first.timedOut?.code, third.timedOut]).toEqual(['SMARTPULSE_PULSAR_HANDLER_TIMEOUT', undefined]);
    await clock.advance(399);
    expect(third.signal.aborted).toBe(false);
    await clock.advance(1);
    expect([second.timedOut, third.signal.aborted]).toEqual([undefined, true]);
  });

  it('gives a run up when it has not ended within its grace, and leaves no timer', async () => {
    const { begin, clock, givenUp, handlers } = open();
    const [stuck, late] = [begin(), begin()];
    await clock.advance(1_050);
    handlers.end(late);
    await clock.advance(50);
    expect(givenUp).toEqual([stuck]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tells by the same reason whoever asks for the signal before the abortion and after', async () => {
    const { begin, clock } = open();
    const [asked, unasked] = [begin(), begin()];
    const { signal } = asked;
    await clock.advance(1_000);
    expect(signal.reason).toBe(asked.timedOut);
    expect(unasked.signal.reason).toBe(unasked.timedOut);
  });

  it('aborts what runs at the stop, and what begins after it', () => {
    const { begin, handlers, stop } = open();
    const [ended, running] = [begin(), begin()];
    handlers.end(ended);
    stop.abort('stop');
    expect([ended, running, begin()].map(({ signal }) => signal.reason as unknown)).toEqual([
      undefined,
      'stop',
      'stop',
    ]);
  });

  it('sets no timer without a limit, and none stays after the close', () => {
    const unlimited = open(0);
    unlimited.begin();
    expect(unlimited.clock.pendingTimers).toBe(0);
    const { begin, clock, handlers } = open();
    begin();
    handlers.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
