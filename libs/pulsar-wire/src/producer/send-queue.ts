import { WaitAbortedError } from '../client/client.errors.js';
import type { WireError } from '../pulsar-wire.errors.js';

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
  readonly reject: (cause: WireError) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/** The room for messages that are not settled, and those who wait for some, in order. */
export class SendQueue {
  readonly #waiting = new Set<Waiting>();
  #messages = 0;
  #bytes = 0;

  constructor(
    private readonly maxMessages: number,
    private readonly maxBytes: number,
  ) {}

  /** Messages that have their room. */
  get messages(): number {
    return this.#messages;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes room at once; `false`: there is none, or others wait for it. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.size > 0 || !this.#fits(bytes)) {
      return false;
    }
    this.#messages++;
    this.#bytes += bytes;
    return true;
  }

  /** Calls `go` when there is room, which is taken then. */
  wait(bytes: number, go: () => void, reject: (cause: WireError) => void, signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) {
      reject(new WaitAbortedError(signal.reason));
      return;
    }
    const onAbort =
      signal === undefined
        ? undefined
        : (): void => {
            this.#waiting.delete(waiting);
            reject(new WaitAbortedError(signal.reason));
            // Those behind it may be small enough for the room that it was too large for.
            this.release(0, 0);
          };
    const waiting: Waiting = { bytes, go, reject, signal, onAbort };
    this.#waiting.add(waiting);
    if (onAbort !== undefined) {
      signal?.addEventListener('abort', onAbort, { once: true });
    }
  }

  /** Gives room back and lets those go on who wait for it. */
  release(messages: number, bytes: number): void {
    this.#messages -= messages;
    this.#bytes -= bytes;
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.bytes)) {
        return;
      }
      this.#leave(waiting);
      this.#messages++;
      this.#bytes += waiting.bytes;
      waiting.go();
    }
  }

  /** Nobody will have room any more. */
  rejectAll(cause: WireError): void {
    for (const waiting of this.#waiting) {
      this.#leave(waiting);
      waiting.reject(cause);
    }
  }

  #fits(bytes: number): boolean {
    // A message larger than all the room is let through alone: it would wait for ever.
    return this.#messages === 0 || (this.#messages < this.maxMessages && this.#bytes + bytes <= this.maxBytes);
  }

  #leave(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    if (waiting.onAbort !== undefined) {
      waiting.signal?.removeEventListener('abort', waiting.onAbort);
    }
  }
}
