import type { LiveSocket } from './live-socket.js';

/** The acknowledgements of one turn: they leave together, and share one promise and one callback. */
export class AckGroup {
  readonly #frames: string[] = [];
  readonly #written: Promise<void>;
  /** They have left this process. */
  resolve!: () => void;
  reject!: (error: Error) => void;

  constructor() {
    this.#written = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** @param messageId as the broker gave it: base64, which needs no escape. */
  add(messageId: string): Promise<void> {
    this.#frames.push(`{"messageId":"${messageId}"}`);
    return this.#written;
  }

  /** @param onWritten hears of the last, which leaves behind the others. Sent again after an error: acknowledging twice does no harm. */
  send(socket: LiveSocket, onWritten: (error: Error | undefined) => void): void {
    const last = this.#frames.length - 1;
    for (let at = 0; at < last; at++) {
      socket.send(this.#frames[at] ?? '');
    }
    socket.send(this.#frames[last] ?? '', (error) => onWritten(error ?? undefined));
  }
}
