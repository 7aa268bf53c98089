import { constants } from 'node:os';
import { Logger } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';

/** A second signal within this time is the first one, forwarded again by a shell or by npm. */
const ECHO_MS = 1_000;
/** What is still open so long after the stop does not get to keep the process. */
const LINGER_MS = 1_000;

/**
 * Listens to the process's signals for one app: the first begins the stop, a later one ends the process at once.
 */
export class ProcessSignals {
  readonly #logger = new Logger(ProcessSignals.name);
  readonly #listeners = new Map<NodeJS.Signals, () => void>();
  readonly #clock: Clock;
  #receivedMs: number | undefined;

  /** @param stop begins the stop; answers whether it was clean. */
  constructor(clock: Clock, signals: readonly NodeJS.Signals[], stop: (signal: NodeJS.Signals) => Promise<boolean>) {
    this.#clock = clock;
    for (const signal of new Set(signals)) {
      const listener = (): void => this.#receive(signal, stop);
      this.#listeners.set(signal, listener);
      process.on(signal, listener);
    }
  }

  /** Stops listening. */
  release(): void {
    for (const [signal, listener] of this.#listeners) {
      process.off(signal, listener);
    }
    this.#listeners.clear();
  }

  #receive(signal: NodeJS.Signals, stop: (signal: NodeJS.Signals) => Promise<boolean>): void {
    if (this.#receivedMs === undefined) {
      this.#receivedMs = this.#clock.monotonic();
      this.#logger.log(`${signal} received, stopping.`);
      stop(signal).then(
        (clean) => this.#leave(clean),
        (error: unknown) => {
          this.#logger.error('The app failed to close.', error instanceof Error ? error.stack : String(error));
          this.#leave(false);
        },
      );
    } else if (this.#clock.monotonic() - this.#receivedMs >= ECHO_MS) {
      this.#logger.warn(`${signal} received again, ending at once.`);
      process.exit(128 + (constants.signals[signal] ?? 0));
    }
  }

  /**
   * The process ends by itself once nothing is open, so that standard output is written out; the guard cuts what somebody forgot. It is
   * not raised again: a clean stop on SIGTERM is a success (exit code 0), and nothing may catch the signal a second time.
   */
  #leave(clean: boolean): void {
    process.exitCode ??= clean ? 0 : 1;
    this.#clock.setTimer(
      LINGER_MS,
      () => {
        this.#logger.warn(`Something keeps the process open ${LINGER_MS} ms after the stop; ending it.`);
        process.exit();
      },
      { unref: true },
    );
  }
}
