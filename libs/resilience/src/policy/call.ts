import { PolicyTimeoutError } from '../resilience.errors.js';
import type { DeadlineList } from './deadline-list.js';
import type { AttemptContext } from './policy.js';

/** What may end a call from outside: its caller or a used-up time. */
export interface Interruption {
  readonly kind: 'cancelled' | 'timedOut';
  readonly reason: unknown;
}

/** One call of a policy: it knows whether it was interrupted, and tells whatever waits or runs for it at the moment. */
export class Call {
  #interruption: Interruption | undefined;
  #listener: ((interruption: Interruption) => void) | undefined;
  #dropDeadline: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#interrupt({ kind: 'cancelled', reason: this.#signal?.reason });

  /** @param endMs when its total time is used up, on the monotonic clock. */
  constructor(
    policy: string,
    signal: AbortSignal | undefined,
    totalTimeoutMs: number | undefined,
    readonly endMs: number,
    deadlines: DeadlineList,
  ) {
    this.#signal = signal;
    if (signal?.aborted === true) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (totalTimeoutMs !== undefined) {
      this.#dropDeadline = deadlines.add(totalTimeoutMs, {
        expire: () =>
          this.#interrupt({ kind: 'timedOut', reason: new PolicyTimeoutError(policy, 'total', totalTimeoutMs) }),
      });
    }
  }

  get interruption(): Interruption | undefined {
    return this.#interruption;
  }

  /** Whether anything could interrupt it. */
  get interruptible(): boolean {
    return this.#signal !== undefined || this.#dropDeadline !== undefined;
  }

  /** Hears of an interruption, at most once; a call has one listener at a time, the step that it is in. */
  listen(listener: ((interruption: Interruption) => void) | undefined): void {
    this.#listener = listener;
  }

  /** @throws the reason when it was interrupted. */
  throwIfInterrupted(): void {
    if (this.#interruption !== undefined) {
      throw this.#interruption.reason;
    }
  }

  /** Lets go of the caller's signal and of the deadline. */
  end(): void {
    this.#listener = undefined;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#dropDeadline?.();
  }

  #interrupt(interruption: Interruption): void {
    if (this.#interruption === undefined) {
      this.#interruption = interruption;
      this.#listener?.(interruption);
    }
  }
}

/** One run's context. Its signal is made when it is read: an AbortController costs more than all the rest of a call. */
export class Attempt implements AttemptContext {
  #controller: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;

  constructor(readonly attempt: number) {}

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) {
        this.#controller.abort(this.#ended.reason);
      }
    }
    return this.#controller.signal;
  }

  /** Aborts the signal, if somebody has it or will ask for it. */
  abort(reason: unknown): void {
    this.#ended = { reason };
    this.#controller?.abort(reason);
  }
}
