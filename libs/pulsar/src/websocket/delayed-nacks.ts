import type { Clock, Timer } from '@smartpulse/resilience';

/** Messages that were given back and whose delay is not over. */
export class DelayedNacks {
  readonly #timers = new Map<string, Timer>();

  /** @param onDue hears of each message when its delay is over. */
  constructor(
    private readonly clock: Clock,
    private readonly onDue: (id: string) => void,
  ) {}

  has(id: string): boolean {
    return this.#timers.has(id);
  }

  add(id: string, delayMs: number): void {
    this.#timers.get(id)?.cancel();
    this.#timers.set(
      id,
      this.clock.setTimer(delayMs, () => {
        this.#timers.delete(id);
        this.onDue(id);
      }),
    );
  }

  /** It was acknowledged after all. */
  drop(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }

  clear(): void {
    for (const timer of this.#timers.values()) {
      timer.cancel();
    }
    this.#timers.clear();
  }
}
