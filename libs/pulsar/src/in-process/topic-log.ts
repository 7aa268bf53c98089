import type { StoredMessage } from './stored-message.js';

/** A topic's messages by position, from `head` (the oldest kept) to `end` (where the next one goes). */
export class TopicLog {
  #messages: (StoredMessage | undefined)[] = [];
  /** Position of `#messages[0]`. */
  #base = 0;
  #head = 0;
  #bytes = 0;

  get head(): number {
    return this.#head;
  }

  get end(): number {
    return this.#base + this.#messages.length;
  }

  get size(): number {
    return this.end - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(message: StoredMessage): void {
    this.#messages.push(message);
    this.#bytes += message.bytes;
  }

  at(position: number): StoredMessage | undefined {
    return this.#messages[position - this.#base];
  }

  /** Forgets the oldest message. */
  trimFirst(): void {
    const index = this.#head - this.#base;
    const message = this.#messages[index];
    if (message === undefined) {
      return;
    }
    this.#bytes -= message.bytes;
    this.#messages[index] = undefined;
    this.#head++;
    if (index > 4_096 && index * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(index + 1);
      this.#base = this.#head;
    }
  }

  clear(): void {
    this.#base = this.end;
    this.#head = this.#base;
    this.#messages = [];
    this.#bytes = 0;
  }
}
