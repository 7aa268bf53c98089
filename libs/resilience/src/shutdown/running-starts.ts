import { Logger } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';
import { within } from './shutdown-step.js';

/**
 * The calls of `init` and `listen` that are under way: an app that stops in the middle of its start would be started by the rest of it,
 * with nobody left to stop it.
 */
export class RunningStarts {
  readonly #logger = new Logger(RunningStarts.name);
  readonly #running = new Set<Promise<unknown>>();
  #over = false;

  /** Answers as `start` does; what ends only after {@link ended} gave up is undone by `undo`. */
  async watch<T>(start: () => Promise<T>, undo: () => void): Promise<T> {
    const running = start();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      if (this.#over) {
        undo();
      }
    }
  }

  /** Waits until nothing starts any more, for `timeoutMs` milliseconds at most. Never rejects: whoever started hears of a failure. */
  async ended(clock: Clock, timeoutMs: number): Promise<void> {
    if (this.#running.size > 0 && !(await within(clock, timeoutMs, Promise.allSettled(this.#running)))) {
      this.#logger.warn(`The app is stopped although it has not started within ${timeoutMs} ms more.`);
    }
    this.#over = true;
  }
}
