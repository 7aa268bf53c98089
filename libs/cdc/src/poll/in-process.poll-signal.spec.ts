import { Logger } from '@nestjs/common';
import { runContract } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pollSignalContract } from '../testing/poll-signal.contract.js';
import { InProcessPollSignal } from './in-process.poll-signal.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

runContract(
  { describe, it },
  'PollSignal: in-process',
  pollSignalContract(() => {
    const signal = new InProcessPollSignal();
    return { writer: signal, tracker: signal, settle: async () => {}, close: async () => {} };
  }),
);

describe('InProcessPollSignal', () => {
  it('tells two listeners apart that are the same function', () => {
    const signal = new InProcessPollSignal();
    let heard = 0;
    const listener = (): void => void (heard += 1);
    const end = signal.onNudge('dbo.a', listener);
    signal.onNudge('dbo.a', listener);
    signal.nudge(['dbo.a']);
    end();
    signal.nudge(['dbo.a']);

    expect(heard).toBe(3);
  });
});
