import type { HeldUntil, QueueAnswer, RetryLater } from '@smartpulse/batch';
import { MessageInvoker, type MessageInvokerOptions, type RunResult } from './message-invoker.js';
import type { MessageSettler, TakenMessage } from './message-settler.js';
import type { MessageVerdict } from './message-verdict.js';
import { FREE_PASS, type RunGate } from './run-gate.js';

/** What a {@link SingleDelivery} is made of. */
export interface SingleDeliveryOptions<T> extends MessageInvokerOptions<T> {
  readonly settler: MessageSettler;
  readonly verdict: MessageVerdict;
  readonly gate: RunGate;
}

/** Brings messages to their handler one by one, each when nothing speaks against it, and on to what comes of it. */
export class SingleDelivery<T> {
  readonly #options: SingleDeliveryOptions<T>;
  readonly #invoker: MessageInvoker<T>;
  #lastHeld: HeldUntil | undefined;

  constructor(options: SingleDeliveryOptions<T>) {
    this.#options = options;
    this.#invoker = new MessageInvoker(options);
  }

  /** Handlers that run now. */
  get running(): number {
    return this.#invoker.running;
  }

  /** No handler runs any more. */
  close(): void {
    this.#invoker.close();
  }

  /**
   * Answers how long to wait before the message is handled again, or nothing when it is settled; at once where nothing has to be waited for. What is only to be
   * settled holds its key, and no handler's place.
   */
  handle(taken: TakenMessage, stop: AbortSignal): Promise<QueueAnswer> | QueueAnswer {
    const { gate, verdict } = this.#options;
    const settled = verdict.withoutRun(taken);
    if (settled !== undefined) {
      return this.#held(settled.answer);
    }
    if (gate.closed) {
      return this.#attemptUntilUp(taken, stop);
    }
    // It is there before anybody tells.
    let resolve!: (answer: QueueAnswer | Promise<QueueAnswer>) => void;
    let reject!: (error: unknown) => void;
    const result = this.#invoker.run(taken.message, taken.attempts + 1, stop, (ended) => {
      try {
        resolve(this.#concluded(taken, stop, ended));
      } catch (error) {
        reject(error);
      }
    });
    return result === undefined
      ? new Promise((onAnswer, onError) => {
          resolve = onAnswer;
          reject = onError;
        })
      : this.#concluded(taken, stop, result);
  }

  #concluded(taken: TakenMessage, stop: AbortSignal, result: RunResult): Promise<QueueAnswer> | QueueAnswer {
    const { gate, verdict } = this.#options;
    return gate.endedOne(FREE_PASS, result)
      ? this.#attemptUntilUp(taken, stop)
      : this.#held(verdict.conclude(taken, result));
  }

  /** Waits until infrastructure is back; finds out, if it is its turn. */
  async #attemptUntilUp(taken: TakenMessage, stop: AbortSignal): Promise<QueueAnswer> {
    const { gate, settler, verdict } = this.#options;
    for (;;) {
      const pass = gate.closed ? await gate.enter(() => !taken.from.lost) : FREE_PASS;
      if (pass === undefined || taken.from.lost) {
        gate.leave(pass);
        return settler.abandon(taken);
      }
      const result = await this.#run(taken, stop);
      if (!gate.endedOne(pass, result)) {
        return this.#held(verdict.conclude(taken, result));
      }
    }
  }

  /** Messages that are settled by one promise have one answer: there are hundreds of them for each receipt. */
  #held(settling: Promise<RetryLater | void> | RetryLater | void): QueueAnswer {
    if (!(settling instanceof Promise)) {
      return settling;
    }
    if (this.#lastHeld?.heldUntil !== settling) {
      this.#lastHeld = { heldUntil: settling };
    }
    return this.#lastHeld;
  }

  #run(taken: TakenMessage, stop: AbortSignal): Promise<RunResult> {
    return new Promise((resolve) => {
      const result = this.#invoker.run(taken.message, taken.attempts + 1, stop, resolve);
      if (result !== undefined) {
        resolve(result);
      }
    });
  }
}
