import type { ReceivedMessage } from './received-message.js';

/** Messages that were received and not handed out yet, first in, first out. */
export class ReadyQueue {
  #messages: ReceivedMessage[] = [];
  #head = 0;

  get size(): number {
    return this.#messages.length - this.#head;
  }

  push(message: ReceivedMessage): void {
    this.#messages.push(message);
  }

  shift(): ReceivedMessage | undefined {
    const message = this.#messages[this.#head];
    if (message === undefined) {
      return undefined;
    }
    this.#head++;
    if (this.#head === this.#messages.length) {
      this.#messages.length = 0;
      this.#head = 0;
    }
    return message;
  }

  /** Empties it, and answers what was in it. */
  clear(): readonly ReceivedMessage[] {
    const left = this.#messages.slice(this.#head);
    this.#messages = [];
    this.#head = 0;
    return left;
  }
}
