/** A timer that was set and may still be cancelled. */
export interface Timer {
  /** Cancels the timer; does nothing when it has fired or was cancelled before. */
  cancel(): void;
}

/** How a timer behaves towards the process. */
export interface TimerOptions {
  /** `true`: the timer alone does not keep the process alive. Default `false`. */
  readonly unref?: boolean;
}

/**
 * Time, as a port: everything that waits, expires or measures asks here, so that a test can own it.
 *
 * An implementer guarantees: {@link monotonic} never goes back; timers fire in the order of their due time, never
 * synchronously inside {@link setTimer}; a cancelled timer never fires.
 */
export abstract class Clock {
  /** Wall time in milliseconds since 1970-01-01T00:00:00Z. May jump; never decides an order. */
  abstract now(): number;

  /** Milliseconds since an arbitrary start; never goes back. Durations and deadlines are measured with it. */
  abstract monotonic(): number;

  /** Calls `callback` once, `delayMs` milliseconds from now (0 or less: at the next turn of the event loop). */
  abstract setTimer(delayMs: number, callback: () => void, options?: TimerOptions): Timer;

  /**
   * Resolves after `delayMs` milliseconds.
   *
   * @throws the signal's reason, at once, when `signal` is or becomes aborted; no timer or listener stays behind.
   */
  sleep(delayMs: number, signal?: AbortSignal, options?: TimerOptions): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = this.setTimer(
        delayMs,
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        options,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
