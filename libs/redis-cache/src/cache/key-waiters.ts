import type { Clock } from '@smartpulse/resilience';

/** Callers that wait for something to happen to a key. */
export class KeyWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(private readonly clock: Clock) {}

  /** Resolves at the next {@link wake} of the key, or after `timeoutMs`. */
  wait(key: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        const waiting = this.#waiting.get(key);
        waiting?.delete(done);
        if (waiting?.size === 0) {
          this.#waiting.delete(key);
        }
        resolve();
      };
      const timer = this.clock.setTimer(timeoutMs, done);
      const waiting = this.#waiting.get(key);
      if (waiting === undefined) {
        this.#waiting.set(key, new Set([done]));
      } else {
        waiting.add(done);
      }
    });
  }

  /** A message about the key came. */
  wake(key: string): void {
    for (const done of this.#waiting.get(key) ?? []) {
      done();
    }
  }

  /** Everybody goes on: messages may have been lost, or the cache closes. */
  wakeAll(): void {
    for (const key of this.#waiting.keys()) {
      this.wake(key);
    }
  }
}
