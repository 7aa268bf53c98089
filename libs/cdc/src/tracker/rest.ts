import type { Clock } from '@smartpulse/resilience';

/** The waits of one tracker for its next attempt. Who asks for it explicitly ends one; a hint does not. */
export class Rest {
  readonly #clock: Clock;
  #woken: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sleeps; an abort ends the sleep and is no error. */
  async nap(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(delayMs, signal);
    } catch (error) {
      if (!signal.aborted) {
        throw error;
      }
    }
  }

  /** Sleeps, until {@link wake} at most. */
  async napUntilWoken(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#woken = woken;
    await this.nap(delayMs, AbortSignal.any([signal, woken.signal]));
    this.#woken = undefined;
  }

  /** Ends a {@link napUntilWoken} that is under way. */
  wake(): void {
    this.#woken?.abort(new Error('The next attempt is wanted now.'));
  }
}
