import type { ClientContext } from '../client/client-context.js';
import { RequestTimeoutError, toWireError } from '../client/client.errors.js';
import type { Timer } from '../client/time.js';
import type { WireError } from '../pulsar-wire.errors.js';
import { Backoff } from './backoff.js';

/** Requests that are tried again while they fail with what may pass by itself. */
export class Retries {
  readonly #waiting = new Map<Timer, (cause: WireError) => void>();
  #ended: WireError | undefined;

  /** @throws what does not pass by itself, at once; {@link RequestTimeoutError} when `operationTimeoutMs` is over. */
  async run<T>(context: ClientContext, request: string, work: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(context.backoff, context.random);
    const deadlineMs = context.clock.monotonic() + context.operationTimeoutMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const cause = toWireError(error);
        if (cause.kind !== 'transient') {
          throw cause;
        }
        if (context.clock.monotonic() >= deadlineMs) {
          throw new RequestTimeoutError(request, context.operationTimeoutMs, cause);
        }
      }
      await this.#wait(context, backoff.nextMs());
    }
  }

  /** Rejects those that wait, and whoever comes. */
  end(cause: WireError): void {
    this.#ended = cause;
    for (const [timer, reject] of this.#waiting) {
      timer.cancel();
      reject(cause);
    }
    this.#waiting.clear();
  }

  #wait(context: ClientContext, delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const timer = context.clock.setTimer(delayMs, () => {
        this.#waiting.delete(timer);
        resolve();
      });
      this.#waiting.set(timer, reject);
    });
  }
}
