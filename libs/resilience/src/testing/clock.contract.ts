import assert from 'node:assert/strict';
import type { Clock } from '../clock/clock.js';
import type { ContractCase } from './contract.js';

/** A clock under test, and how its time passes. */
export interface ClockUnderTest {
  readonly clock: Clock;
  /** Lets at least `ms` milliseconds pass on that clock. */
  readonly pass: (ms: number) => Promise<void>;
}

/** What every {@link Clock} promises; the cases take some tens of milliseconds of its time. */
export function clockContract(create: () => ClockUnderTest): readonly ContractCase[] {
  return [
    {
      title: 'never goes back, and moves by at least what passed',
      async run() {
        const { clock, pass } = create();
        const before = clock.monotonic();
        await pass(10);
        assert.ok(clock.monotonic() - before >= 9);
      },
    },
    {
      title: 'never fires a timer inside setTimer, not even one of 0 ms',
      async run() {
        const { clock, pass } = create();
        let fired = false;
        clock.setTimer(0, () => (fired = true));
        assert.equal(fired, false);
        await pass(10);
        assert.equal(fired, true);
      },
    },
    {
      title: 'fires timers in the order of their due time',
      async run() {
        const { clock, pass } = create();
        const fired: number[] = [];
        for (const ms of [20, 1, 10]) {
          clock.setTimer(ms, () => fired.push(ms));
        }
        await pass(50);
        assert.deepEqual(fired, [1, 10, 20]);
      },
    },
    {
      title: 'does not fire a timer of two months early',
      async run() {
        const { clock, pass } = create();
        let fired = false;
        const timer = clock.setTimer(60 * 86_400_000, () => (fired = true));
        await pass(20);
        timer.cancel();
        assert.equal(fired, false);
      },
    },
    {
      title: 'never fires a cancelled timer, and bears a second cancel',
      async run() {
        const { clock, pass } = create();
        let fired = false;
        const timer = clock.setTimer(1, () => (fired = true));
        timer.cancel();
        timer.cancel();
        await pass(20);
        assert.equal(fired, false);
      },
    },
    {
      title: 'ends a sleep with the reason of its signal, before or during it',
      async run() {
        const { clock } = create();
        const reason = new Error('enough');
        await assert.rejects(clock.sleep(60_000, AbortSignal.abort(reason)), reason);
        const abort = new AbortController();
        const sleep = clock.sleep(60_000, abort.signal);
        abort.abort(reason);
        await assert.rejects(sleep, reason);
      },
    },
  ];
}
