import { Logger } from '@nestjs/common';
import { PollSignal } from './poll-signal.js';

/** Nudges within one app: the default where no other {@link PollSignal} is given. Trackers of other processes poll anyway. */
export class InProcessPollSignal extends PollSignal {
  readonly #logger = new Logger(InProcessPollSignal.name);
  readonly #listeners = new Map<string, Set<() => void>>();

  override nudge(tables: readonly string[]): void {
    for (const table of tables) {
      this.#listeners.get(table)?.forEach((listener) => this.#call(listener));
    }
  }

  override onNudge(table: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(table) ?? new Set();
    this.#listeners.set(table, listeners);
    // A set keeps one of two equal functions; each caller gets its own.
    const own = (): void => listener();
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(table) === listeners) {
        this.#listeners.delete(table);
      }
    };
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#logger.error('A listener of a nudge threw.', error);
    }
  }
}
