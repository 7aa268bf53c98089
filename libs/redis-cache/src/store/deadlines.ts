import type { Clock, Timer } from '@smartpulse/resilience';

/** A call that is bounded. */
export interface BoundedCall {
  readonly dueMs: number;
  /** It ended without an answer. Called once at most. */
  fail: (cause: unknown) => void;
}

const ENDED = (): void => {};

/**
 * Bounds calls that may all take equally long, by one timer for all of them: they fall due in the order in which they began. A timer for each would cost more
 * than the rest of a call.
 */
export class Deadlines {
  // In the order of being due.
  readonly #calls = new Set<BoundedCall>();
  #timer: Timer | undefined;

  constructor(
    private readonly timeoutMs: number,
    private readonly clock: Clock,
  ) {}

  /** From now on the call fails when its time is over, unless {@link end} comes first. */
  begin(fail: (cause: unknown) => void): BoundedCall {
    const call: BoundedCall = { dueMs: this.clock.monotonic() + this.timeoutMs, fail };
    this.#calls.add(call);
    if (this.#timer === undefined) {
      this.#arm(this.timeoutMs);
    }
    return call;
  }

  /** Answers whether the call had not failed before. The timer stays, for others or for nobody: it is let go when it fires. */
  end(call: BoundedCall): boolean {
    const was = this.#calls.delete(call);
    if (was) {
      // A table that the set has grown out of keeps the call until the next full collection: its answer is not to be part of that.
      call.fail = ENDED;
    }
    return was;
  }

  /** Every call fails. */
  close(cause: unknown): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const call of this.#calls) {
      this.#calls.delete(call);
      call.fail(cause);
    }
  }

  #arm(delayMs: number): void {
    this.#timer = this.clock.setTimer(delayMs, () => this.#fire(), { unref: true });
  }

  #fire(): void {
    this.#timer = undefined;
    const nowMs = this.clock.monotonic();
    for (const call of this.#calls) {
      if (call.dueMs > nowMs) {
        this.#arm(call.dueMs - nowMs);
        return;
      }
      this.#calls.delete(call);
      call.fail(new Error(`No answer within ${this.timeoutMs} ms.`));
    }
  }
}
