import type { WireMessage, WireProducer } from '@smartpulse/pulsar-wire';
import { PulsarClosedError } from '../pulsar.errors.js';
import { sendAborted } from '../transport/broker-failure.js';
import type { MessageId, OutgoingMessage, SendListener, TransportProducer } from '../transport/pulsar.transport.js';
import { wireFailure } from './wire.failures.js';

/** One producer of the wire client. */
export class WireTransportProducer implements TransportProducer {
  readonly topic: string;
  /** Sends called and not settled: the client's own figure leaves out those that wait for room. */
  #pending = 0;
  #closing: Promise<void> | undefined;

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
    return new Promise((onStored, onFailed) => this.sendTo({ onStored, onFailed }, message, signal));
  }

  sendTo(listener: SendListener, message: OutgoingMessage, signal?: AbortSignal): void {
    if (this.#closing !== undefined) {
      listener.onFailed(new PulsarClosedError('producer', this.topic));
    } else if (signal?.aborted === true) {
      listener.onFailed(sendAborted(this.topic, signal.reason));
    } else {
      this.#pending++;
      this.producer.sendTo(new Send(this, listener), wireMessage(message), signal);
    }
  }

  /** @internal */
  settled(): void {
    this.#pending--;
  }

  flush(): Promise<void> {
    return this.producer.flush();
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

/** A message on its way: says it as the port says it. */
class Send {
  constructor(
    private readonly producer: WireTransportProducer,
    private readonly listener: SendListener,
  ) {}

  onStored(id: MessageId): void {
    this.producer.settled();
    this.listener.onStored(id);
  }

  onFailed(error: unknown): void {
    this.producer.settled();
    this.listener.onFailed(wireFailure(error, this.producer.topic));
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
