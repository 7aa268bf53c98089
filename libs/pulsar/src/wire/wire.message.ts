import type { HandedOutId, ReceivedMessage } from '@smartpulse/pulsar-wire';
import type { IncomingMessage } from '../transport/pulsar.transport.js';

/** A received message; what it says is read from the frame when it is asked for. */
export class WireMessageView implements IncomingMessage {
  readonly #message: ReceivedMessage;

  constructor(message: ReceivedMessage) {
    this.#message = message;
  }

  get id(): HandedOutId {
    return this.#message.id;
  }

  get topic(): string {
    return this.#message.topic;
  }

  get payload(): Uint8Array {
    return this.#message.payload;
  }

  get tombstone(): boolean {
    return this.#message.isTombstone;
  }

  get key(): string | undefined {
    return this.#message.key;
  }

  get orderingKey(): string | undefined {
    const { orderingKey } = this.#message;
    return orderingKey === undefined ? undefined : Buffer.from(orderingKey).toString('utf8');
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#message.properties;
  }

  get publishTimeMs(): number {
    return this.#message.publishTimeMs;
  }

  get eventTimeMs(): number | undefined {
    return this.#message.eventTimeMs;
  }

  get redeliveryCount(): number {
    return this.#message.redeliveryCount;
  }

  get producerName(): string {
    return this.#message.producerName;
  }

  get sequenceId(): bigint {
    return this.#message.sequenceId;
  }
}
