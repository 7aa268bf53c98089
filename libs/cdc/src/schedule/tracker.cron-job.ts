import { Logger } from '@nestjs/common';
import { CronJob } from 'cron';
import type { ChangeTracker } from '../tracker/change-tracker.js';

/**
 * A tracker as a `CronJob`: `start` and `stop` are the tracker's, `fireOnTick` makes it poll. The job's own timer is only a second
 * heart: it nudges every `periodSeconds`; the adaptive polling runs on the app's clock. Its timer does not keep the process alive.
 *
 * Loads package `cron`: import this file lazily.
 */
export class TrackerCronJob extends CronJob {
  readonly #logger = new Logger(TrackerCronJob.name);
  readonly #tracker: ChangeTracker;
  #begun = false;
  #detached = false;

  constructor(tracker: ChangeTracker, periodSeconds: number, offsetSeconds: number) {
    const seconds = Array.from(
      { length: 60 / periodSeconds },
      (_, turn) => (offsetSeconds % periodSeconds) + turn * periodSeconds,
    );
    super(
      `${seconds.join(',')} * * * * *`,
      () => tracker.nudge(),
      undefined,
      false,
      undefined,
      undefined,
      false,
      undefined,
      true,
    );
    this.#tracker = tracker;
  }

  /** Starts the tracker and the tick. The base class also calls it after every tick, which must not restart a stopped tracker. */
  override start(): void {
    super.start();
    if (!this.#begun && !this.#detached) {
      this.#begun = true;
      this.#tracker.start();
    }
  }

  /** Ends the tick and stops the tracker after its running page; the promise says when. */
  override stop(): Promise<void> | undefined {
    const stopped = super.stop();
    if (!this.#begun || this.#detached) {
      return stopped;
    }
    this.#begun = false;
    // Schedulers do not wait for the answer, so nothing may be left to reject.
    return Promise.all([stopped, this.#tracker.stop()]).then(
      () => undefined,
      (error: unknown) => this.#logger.error('The tracker did not stop.', error),
    );
  }

  /** From now on it ticks no more and leaves its tracker alone: whoever owns the tracker stops it. */
  detach(): void {
    this.#detached = true;
    void super.stop();
  }
}
