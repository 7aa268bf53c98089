import type { Random } from '../client/time.js';

/** How long to wait before trying again. */
export interface BackoffOptions {
  /** The widest first delay, in milliseconds. */
  readonly initialMs: number;
  /** No delay is wider, in milliseconds. */
  readonly maxMs: number;
}

/**
 * A growing delay with full jitter: anything from 0 to a width that doubles with each attempt, so that a fleet whose broker went
 * down does not come back in step.
 */
export class Backoff {
  #attempt = 0;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: Random,
  ) {}

  /** Delays handed out since the last reset. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The delay before the next attempt, in milliseconds. */
  nextMs(): number {
    // 2^31 is beyond every sensible cap; the exponent is bounded so that it never overflows to infinity.
    const widthMs = Math.min(this.options.maxMs, this.options.initialMs * 2 ** Math.min(this.#attempt, 31));
    this.#attempt++;
    return this.random.next() * widthMs;
  }

  reset(): void {
    this.#attempt = 0;
  }
}
