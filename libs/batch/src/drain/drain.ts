import type { Clock, Timer } from '@smartpulse/resilience';
import { DEFAULT_DRAIN_TIMEOUT_MS, type DrainOptions, type DrainReport } from './drain-report.js';

/** A drain under way: one promise for all callers, one deadline, counters from its beginning. */
export class Drain<TItem> {
  /** Settles once, with the report. */
  readonly promise: Promise<DrainReport<TItem>>;
  readonly #completedBefore: number;
  readonly #failedBefore: number;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: Timer;
  readonly #expire: () => void;
  #resolve: (report: DrainReport<TItem>) => void = () => undefined;

  /** @param expire called once when the time is used up, unless {@link finish} was called before. */
  constructor(clock: Clock, options: DrainOptions, before: { completed: number; failed: number }, expire: () => void) {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#completedBefore = before.completed;
    this.#failedBefore = before.failed;
    this.#expire = expire;
    this.#signal = options.signal;
    this.#timer = clock.setTimer(options.timeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS, expire);
    this.#signal?.addEventListener('abort', expire, { once: true });
  }

  /** Ends the drain: nothing of it stays behind. */
  finish(now: { completed: number; failed: number }, leftover: readonly TItem[], interrupted: number): void {
    this.#timer.cancel();
    this.#signal?.removeEventListener('abort', this.#expire);
    this.#resolve({
      completed: now.completed - this.#completedBefore,
      failed: now.failed - this.#failedBefore,
      leftover,
      interrupted,
    });
  }
}
