import type { Clock } from '@smartpulse/resilience';

/** How long work goes on before timers and sockets get their turn, in milliseconds. */
export const WORK_SLICE_MS = 5;

/**
 * Measures how long work has gone on without a turn of the event loop. Handlers that answer without real waiting would otherwise keep
 * timers, sockets and health probes from running for as long as there are items.
 *
 * That the loop has turned is told by `setImmediate`: a clock cannot tell five milliseconds of waiting from five of work.
 */
export class WorkSlice {
  readonly #clock: Clock;
  readonly #questionsPerLook: number;
  #question = 0;
  #startedMs = 0;
  #marker: NodeJS.Immediate | undefined;

  /**
   * @param questionsPerLook how often {@link exhausted} is asked for one look at the clock: where the work between two questions is tiny,
   *   looking would cost more than the work.
   */
  constructor(clock: Clock, questionsPerLook = 1) {
    this.#clock = clock;
    this.#questionsPerLook = questionsPerLook;
  }

  /** Whether the slice is used up: give way with {@link giveWay} before going on. */
  exhausted(): boolean {
    if (this.#marker === undefined) {
      this.#startedMs = this.#clock.monotonic();
      this.#question = 0;
      this.#marker = setImmediate(() => {
        this.#marker = undefined;
      });
      return false;
    }
    if (++this.#question < this.#questionsPerLook) {
      return false;
    }
    this.#question = 0;
    return this.#clock.monotonic() - this.#startedMs >= WORK_SLICE_MS;
  }

  /** Calls `resume` after the event loop has turned. */
  giveWay(resume: () => void): void {
    setImmediate(resume);
  }

  /** Forgets the running slice, so that nothing is left in the event loop. */
  close(): void {
    if (this.#marker !== undefined) {
      clearImmediate(this.#marker);
      this.#marker = undefined;
    }
  }
}
