import { Clock, type Timer } from '../clock/clock.js';

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers fire in the order of their due time (equal: of being set), and between two
 * of them everything that promises can do without time is done.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * const done = clock.sleep(30_000);
 * await clock.advance(30_000);
 * await done;
 * ```
 */
export class VirtualClock extends Clock {
  readonly #pending = new Set<PendingTimer>();
  readonly #startMs: number;
  #elapsedMs = 0;
  #order = 0;

  /** @param startMs the wall time that it begins at; default 2026-01-01T00:00:00Z. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    super();
    this.#startMs = startMs;
  }

  /** Timers that are set and have not fired: 0 after a clean stop. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  override now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  override monotonic(): number {
    return this.#elapsedMs;
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = {
      dueMs: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#order++,
      callback,
    };
    this.#pending.add(timer);
    return { cancel: () => void this.#pending.delete(timer) };
  }

  /** Moves time by `ms` milliseconds and fires what falls due, one by one. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.dueMs <= targetMs; next = this.#next()) {
      this.#fire(next);
      await this.settle();
    }
    this.#elapsedMs = targetMs;
    await this.settle();
  }

  /** Lets promises and I/O callbacks that are ready run; time stands still. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Fires timer after timer until `condition` holds, and no later.
   *
   * @throws Error when no timer is left, or more than `limitMs` of virtual time would pass, and the condition does not hold.
   */
  async until(condition: () => boolean | Promise<boolean>, limitMs = 3_600_000): Promise<void> {
    const deadlineMs = this.#elapsedMs + limitMs;
    await this.settle();
    while (!(await condition())) {
      const next = this.#next();
      if (next === undefined || next.dueMs > deadlineMs) {
        throw new Error(
          next === undefined
            ? 'No timer is left and the condition does not hold.'
            : `The condition does not hold after ${limitMs} ms.`,
        );
      }
      this.#fire(next);
      await this.settle();
    }
  }

  #fire(timer: PendingTimer): void {
    this.#pending.delete(timer);
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
    timer.callback();
  }

  #next(): PendingTimer | undefined {
    let first: PendingTimer | undefined;
    for (const timer of this.#pending) {
      if (
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }
}
