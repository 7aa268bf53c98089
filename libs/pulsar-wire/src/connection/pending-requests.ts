import { RequestTimeoutError } from '../client/client.errors.js';
import type { Clock, Timer } from '../client/time.js';
import type { WireError } from '../pulsar-wire.errors.js';

interface PendingRequest<TAnswer> {
  readonly name: string;
  readonly resolve: (answer: TAnswer) => void;
  readonly reject: (error: WireError) => void;
  timer: Timer | undefined;
}

/** Requests on their way on one connection: each gets its answer, its refusal, a timeout or the end of the connection. */
export class PendingRequests<TAnswer> {
  readonly #pending = new Map<number, PendingRequest<TAnswer>>();

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.#pending.size;
  }

  /** @param timeoutMs 0 = none. */
  add(requestId: number, name: string, timeoutMs: number): Promise<TAnswer> {
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs > 0
          ? this.clock.setTimer(timeoutMs, () => this.reject(requestId, new RequestTimeoutError(name, timeoutMs)))
          : undefined;
      this.#pending.set(requestId, { name, resolve, reject, timer });
    });
  }

  /** What was asked, for an error's sentence. */
  nameOf(requestId: number): string | undefined {
    return this.#pending.get(requestId)?.name;
  }

  /** @returns `false` when nobody waits for it: it came too late. */
  resolve(requestId: number, answer: TAnswer): boolean {
    const request = this.#take(requestId);
    request?.resolve(answer);
    return request !== undefined;
  }

  reject(requestId: number, error: WireError): boolean {
    const request = this.#take(requestId);
    request?.reject(error);
    return request !== undefined;
  }

  /** The first answer was "wait": the second one may take as long as it likes. */
  waitOn(requestId: number): void {
    const request = this.#pending.get(requestId);
    request?.timer?.cancel();
    if (request !== undefined) {
      request.timer = undefined;
    }
  }

  rejectAll(error: WireError): void {
    for (const requestId of this.#pending.keys()) {
      this.reject(requestId, error);
    }
  }

  #take(requestId: number): PendingRequest<TAnswer> | undefined {
    const request = this.#pending.get(requestId);
    this.#pending.delete(requestId);
    request?.timer?.cancel();
    return request;
  }
}
