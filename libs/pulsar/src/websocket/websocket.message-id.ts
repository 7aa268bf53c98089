import type { MessageId } from '../transport/pulsar.transport.js';

/** A message's place as the broker writes it; handed back byte for byte, since another text would end the connection. */
export class WebSocketMessageId implements MessageId {
  readonly #text: string;

  constructor(
    readonly topic: string,
    text: string,
  ) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}
