import type { Timer } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { STALE_AFTER_MS } from './namespaces.js';

/** A clock on which callers have waited long enough when that is said, whatever time it is. */
export class PatientClock extends VirtualClock {
  readonly #waiting = new Set<() => void>();

  override setTimer(delayMs: number, callback: () => void): Timer {
    if (delayMs !== STALE_AFTER_MS) {
      return super.setTimer(delayMs, callback);
    }
    this.#waiting.add(callback);
    return { cancel: () => void this.#waiting.delete(callback) };
  }

  /** Somebody waits for a load, for no longer than a while. */
  get tires(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whoever waits for a load has waited long enough. */
  tire(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    waiting.forEach((callback) => callback());
  }
}
