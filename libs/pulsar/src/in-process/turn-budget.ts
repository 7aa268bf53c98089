import type { Clock, Timer } from '@smartpulse/resilience';

/** Deliveries until the event loop gets its turn: timers and sockets must not starve while a backlog is read. */
const DELIVERIES_PER_TURN = 2_048;

/** Counts deliveries over all subscriptions of a broker and yields to the event loop now and then. */
export class TurnBudget {
  readonly #clock: Clock;
  readonly #deferred = new Set<() => void>();
  #left = DELIVERIES_PER_TURN;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether one more delivery fits into this turn; if not, `later` is called in the next one. */
  take(later: () => void): boolean {
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.#deferred.add(later);
    this.#timer ??= this.#clock.setTimer(0, () => this.#refill());
    return false;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#deferred.clear();
  }

  #refill(): void {
    this.#timer = undefined;
    this.#left = DELIVERIES_PER_TURN;
    const deferred = [...this.#deferred];
    this.#deferred.clear();
    for (const later of deferred) {
      later();
    }
  }
}
