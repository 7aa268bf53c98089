import { Clock, type Timer, type TimerOptions } from './clock.js';

/** The machine's own time. */
export class SystemClock extends Clock {
  override now(): number {
    return Date.now();
  }

  override monotonic(): number {
    return performance.now();
  }

  override setTimer(delayMs: number, callback: () => void, options?: TimerOptions): Timer {
    let handle: NodeJS.Timeout | undefined;
    const arm = (leftMs: number): void => {
      const fire = (): void => (leftMs > LONGEST_MS ? arm(leftMs - LONGEST_MS) : callback());
      handle = setTimeout(fire, Math.min(leftMs, LONGEST_MS));
      if (options?.unref === true) {
        handle.unref();
      }
    };
    // Node warns of a delay below 0, which whoever is late arrives at.
    arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  }
}

/** What Node's own timers can count, 24.8 days; longer ones they fire at once. */
const LONGEST_MS = 2 ** 31 - 1;
