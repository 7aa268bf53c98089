import type { PulsarError } from '../pulsar.errors.js';
import { sendAborted } from './broker-failure.js';

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

/** Room for sends that await their broker, in messages and bytes: a full one lets the next wait, in the order of the calls. */
export class SendRoom {
  readonly #waiting = new Set<Waiting>();
  #messages = 0;
  #bytes = 0;

  constructor(
    private readonly topic: string,
    private readonly maxMessages: number,
    private readonly maxBytes: number,
  ) {}

  /** Sends that wait for room. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Calls `go` when there is room, now where there is some.
   *
   * @param signal ends the wait and nothing else; `onAborted` is told with a PulsarError of code `SMARTPULSE_PULSAR_ABORTED`.
   */
  enter(bytes: number, go: () => void, signal: AbortSignal | undefined, onAborted: (error: PulsarError) => void): void {
    if (signal?.aborted === true) {
      onAborted(sendAborted(this.topic, signal.reason));
      return;
    }
    if (this.#waiting.size === 0 && this.#fits(bytes)) {
      this.#take(bytes);
      go();
      return;
    }
    const onAbort = (): void => {
      this.#waiting.delete(waiting);
      onAborted(sendAborted(this.topic, signal?.reason));
      // Those behind it may be small enough for the room that it was too large for.
      this.#admit();
    };
    const waiting: Waiting = {
      bytes,
      go: () => {
        signal?.removeEventListener('abort', onAbort);
        go();
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(waiting);
  }

  /** Gives room back; the longest waiting go on. */
  release(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    this.#admit();
  }

  #admit(): void {
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.bytes)) {
        return;
      }
      this.#waiting.delete(waiting);
      this.#take(waiting.bytes);
      waiting.go();
    }
  }

  #take(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }

  /** A message larger than all the room goes alone: it would wait for ever. */
  #fits(bytes: number): boolean {
    return this.#messages === 0 || (this.#messages < this.maxMessages && this.#bytes + bytes <= this.maxBytes);
  }
}
