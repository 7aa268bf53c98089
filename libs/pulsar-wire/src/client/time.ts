/** A timer that was set and may still be cancelled. */
export interface Timer {
  /** Cancels the timer; does nothing when it has fired or was cancelled before. */
  cancel(): void;
}

/** Time, handed in: everything in this package that waits, expires or measures asks here, so that a test can own it. */
export interface Clock {
  /** Wall time in milliseconds since 1970-01-01T00:00:00Z. Stamped on messages, never decides an order. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `callback` once, `delayMs` milliseconds from now; `unref: true` does not keep the process alive for it. */
  setTimer(delayMs: number, callback: () => void, options?: { readonly unref?: boolean }): Timer;
}

/** Chance, handed in: jitter and the choice among addresses come from here, so that a seeded run repeats. */
export interface Random {
  /** A number from 0 (inclusive) to 1 (exclusive). */
  next(): number;
}
