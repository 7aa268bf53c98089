import { SystemClock } from '@smartpulse/resilience';

/** The system's clock, which can be put forward: lives in a server are shortened by as much. */
export class ShiftedClock extends SystemClock {
  #aheadMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.#aheadMs;
  }

  /** Puts it forward. */
  shift(ms: number): void {
    this.#aheadMs += ms;
  }
}
