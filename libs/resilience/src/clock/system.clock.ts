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
    const handle = setTimeout(callback, delayMs);
    if (options?.unref === true) {
      handle.unref();
    }
    return { cancel: () => clearTimeout(handle) };
  }
}
