import type { RetryLater } from '@smartpulse/batch';
import { MessageInvoker, type MessageInvokerOptions, type RunResult } from './message-invoker.js';
import type { MessageSettler, TakenMessage } from './message-settler.js';
import type { MessageVerdict } from './message-verdict.js';
import { FREE_PASS, type RunGate, type RunPass } from './run-gate.js';

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

  /** Answers how long to wait before the message is handled again, or nothing when it is settled. */
  handle(taken: TakenMessage, stop: AbortSignal): Promise<RetryLater | void> | RetryLater | void {
    const settled = this.#options.verdict.withoutRun(taken);
    return settled === undefined ? this.#attempt(taken, stop) : settled.answer;
  }

  /** Waits for nothing that is there already: a handler that answers at once costs no turn of its own. */
  #attempt(taken: TakenMessage, stop: AbortSignal): Promise<RetryLater | void> | RetryLater | void {
    const { gate, verdict } = this.#options;
    if (gate.closed) {
      return this.#attemptUntilUp(taken, stop, undefined);
    }
    const result = this.#invoker.run(taken.message, taken.attempts + 1, stop);
    if (result instanceof Promise || result.status === 'rejected') {
      return this.#attemptUntilUp(taken, stop, result);
    }
    gate.endedOne(FREE_PASS, result);
    return verdict.conclude(taken, result);
  }

  /** @param begun the handler run that is under way already. */
  async #attemptUntilUp(
    taken: TakenMessage,
    stop: AbortSignal,
    begun: RunResult | Promise<RunResult> | undefined,
  ): Promise<RetryLater | void> {
    const { gate, settler, verdict } = this.#options;
    for (let running = begun; ; running = undefined) {
      let pass: RunPass | undefined = FREE_PASS;
      if (running === undefined) {
        pass = gate.closed ? await gate.enter() : pass;
        if (pass === undefined || taken.from.lost) {
          gate.leave(pass);
          return settler.abandon(taken);
        }
        running = this.#invoker.run(taken.message, taken.attempts + 1, stop);
      }
      const result = running instanceof Promise ? await running : running;
      if (!gate.endedOne(pass, result)) {
        const settling = verdict.conclude(taken, result);
        return settling instanceof Promise ? await settling : settling;
      }
    }
  }
}
