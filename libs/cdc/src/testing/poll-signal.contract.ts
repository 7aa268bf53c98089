import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { PollSignal } from '../poll/poll-signal.js';

/** A signal as a writer and a tracker see it. */
export interface PollSignalHarness {
  /** Where the writer nudges. */
  readonly writer: PollSignal;
  /** Where the tracker listens; may be the same object. */
  readonly tracker: PollSignal;
  /** Resolves when nudges up to now have arrived. */
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What every {@link PollSignal} promises while nothing fails, as data. Nudges are hints: a real one may also be lost. */
export function pollSignalContract(
  create: () => Promise<PollSignalHarness> | PollSignalHarness,
): readonly ContractCase[] {
  const one = (title: string, check: (harness: PollSignalHarness) => Promise<void>): ContractCase => ({
    title,
    run: async () => {
      const harness = await create();
      try {
        await check(harness);
      } finally {
        await harness.close();
      }
    },
  });

  return [
    one('reaches every listener of a table', async ({ writer, tracker, settle }) => {
      const heard = { first: 0, second: 0 };
      tracker.onNudge('dbo.a', () => (heard.first += 1));
      tracker.onNudge('dbo.a', () => (heard.second += 1));
      await settle();
      writer.nudge(['dbo.b', 'dbo.a']);
      await settle();
      assert.ok(heard.first > 0 && heard.second > 0);
    }),
    one('leaves listeners of other tables alone', async ({ writer, tracker, settle }) => {
      let heard = 0;
      tracker.onNudge('dbo.a', () => (heard += 1));
      await settle();
      writer.nudge(['dbo.b']);
      writer.nudge([]);
      await settle();
      assert.equal(heard, 0);
    }),
    one('ends one listener and no other, however often it is ended', async ({ writer, tracker, settle }) => {
      const heard = { ended: 0, kept: 0 };
      const end = tracker.onNudge('dbo.a', () => (heard.ended += 1));
      tracker.onNudge('dbo.a', () => (heard.kept += 1));
      await settle();
      end();
      end();
      writer.nudge(['dbo.a']);
      await settle();
      assert.equal(heard.ended, 0);
      assert.ok(heard.kept > 0);
    }),
    one('never throws, also when a listener does, and still calls the others', async ({ writer, tracker, settle }) => {
      let heard = 0;
      tracker.onNudge('dbo.a', () => {
        throw new Error('A listener fails.');
      });
      tracker.onNudge('dbo.a', () => (heard += 1));
      await settle();
      writer.nudge(['dbo.a']);
      await settle();
      assert.ok(heard > 0);
    }),
  ];
}
