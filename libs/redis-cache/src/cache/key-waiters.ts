import type { Clock } from '@smartpulse/resilience';

/** Notices what happens to a key from the moment on at which it was made. */
export interface WakeUp {
  /** Resolves when the key was woken since the {@link WakeUp} was made, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<void>;
  /** Nobody waits any more. */
  end(): void;
}

/** Callers that wait for something to happen to a key. */
export class KeyWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(private readonly clock: Clock) {}

  /** Made before the question whose answer may be to wait: a message may overtake that answer. */
  listen(key: string): WakeUp {
    let woken = false;
    let resume = (): void => {};
    const wake = (): void => {
      woken = true;
      resume();
    };
    const waiting = this.#waiting.get(key) ?? new Set();
    waiting.add(wake);
    this.#waiting.set(key, waiting);
    return {
      wait: (timeoutMs) =>
        woken
          ? Promise.resolve()
          : new Promise((resolve) => {
              const timer = this.clock.setTimer(timeoutMs, () => resume());
              resume = () => {
                timer.cancel();
                resolve();
              };
            }),
      end: () => {
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) {
          this.#waiting.delete(key);
        }
      },
    };
  }

  /** A message about the key came. */
  wake(key: string): void {
    for (const wake of this.#waiting.get(key) ?? []) {
      wake();
    }
  }

  /** Everybody goes on: messages may have been lost, or the cache closes. */
  wakeAll(): void {
    for (const key of this.#waiting.keys()) {
      this.wake(key);
    }
  }
}
