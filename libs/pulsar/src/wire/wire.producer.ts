import type { WireMessage, WireProducer } from '@smartpulse/pulsar-wire';
import { PulsarClosedError } from '../pulsar.errors.js';
import { sendAborted } from '../transport/broker-failure.js';
import type { MessageId, OutgoingMessage, TransportProducer } from '../transport/pulsar.transport.js';
import { wireFailure } from './wire.failures.js';

/** One producer of the wire client. */
export class WireTransportProducer implements TransportProducer {
  readonly topic: string;
  /** Sends called and not settled: the client's own figure leaves out those that wait for room. */
  #pending = 0;
  #closing: Promise<void> | undefined;
  /** The same function for every send, so that a message costs no closure. */
  readonly #settled = <T>(value: T): T => {
    this.#pending--;
    return value;
  };
  readonly #failed = (error: unknown): never => {
    this.#pending--;
    throw wireFailure(error, this.topic);
  };

  constructor(
    topic: string,
    private readonly producer: WireProducer,
    private readonly onClose: (producer: WireTransportProducer) => void,
  ) {
    this.topic = topic;
  }

  get pending(): number {
    return this.#pending;
  }

  send(message: OutgoingMessage, signal?: AbortSignal): Promise<MessageId> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('producer', this.topic));
    }
    if (signal?.aborted === true) {
      return Promise.reject(sendAborted(this.topic, signal.reason));
    }
    this.#pending++;
    return this.producer.send(wireMessage(message), signal).then(this.#settled, this.#failed);
  }

  async flush(): Promise<void> {
    await this.producer.flush();
    // The promises of `send` follow those of the client by one turn of the microtask queue: whoever waits for the flush finds them settled.
    await Promise.resolve();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.producer.close();
    } finally {
      this.onClose(this);
    }
  }
}

function wireMessage(message: OutgoingMessage): WireMessage {
  const { payload, key, properties, eventTimeMs, deliverAtMs, sequenceId, orderingKey } = message;
  return {
    payload: message.tombstone === true ? null : payload,
    key,
    properties,
    eventTimeMs,
    deliverAtMs,
    sequenceId,
    orderingKey: orderingKey === undefined ? undefined : Buffer.from(orderingKey, 'utf8'),
  };
}
