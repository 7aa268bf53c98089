import { HandedOutId, type WireConsumer } from '@smartpulse/pulsar-wire';
import { PulsarClosedError } from '../pulsar.errors.js';
import { foreignMessageId } from '../transport/broker-failure.js';
import type { MessageId, TransportConsumer } from '../transport/pulsar.transport.js';
import { wireFailure } from './wire.failures.js';

/** One consumer of the wire client. */
export class WireTransportConsumer implements TransportConsumer {
  #closing: Promise<void> | undefined;
  #permits = 0;
  #receipt: Promise<void> | undefined;
  #shared: Promise<void> = Promise.resolve();
  readonly #failed = (error: unknown): never => {
    throw wireFailure(error, this.topic);
  };
  readonly #allow = (): void => {
    const count = this.#permits;
    this.#permits = 0;
    if (this.#closing === undefined) {
      this.consumer.permit(count);
    }
  };

  constructor(
    readonly topic: string,
    readonly subscription: string,
    private readonly consumer: WireConsumer,
    private readonly onClose: (consumer: WireTransportConsumer) => void,
  ) {}

  permit(count: number): void {
    if (this.#closing !== undefined || count <= 0) {
      return;
    }
    // The client may hold messages of a batch that was larger than its permits: they must not be delivered inside this call.
    if (this.#permits === 0) {
      queueMicrotask(this.#allow);
    }
    this.#permits += count;
  }

  ack(id: MessageId): Promise<void> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    return id instanceof HandedOutId
      ? this.#acked(this.consumer.ack(id))
      : Promise.reject(foreignMessageId(this.topic));
  }

  ackCumulative(id: MessageId): Promise<void> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    return id instanceof HandedOutId
      ? this.consumer.ackCumulative(id).catch(this.#failed)
      : Promise.reject(foreignMessageId(this.topic));
  }

  nack(id: MessageId, delayMs: number): void {
    if (this.#closing === undefined && id instanceof HandedOutId) {
      this.consumer.nack(id, delayMs);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end(() => this.consumer.close());
    return this.#closing;
  }

  async unsubscribe(): Promise<void> {
    if (this.#closing !== undefined) {
      throw new PulsarClosedError('consumer', this.topic);
    }
    await this.consumer.unsubscribe().catch(this.#failed);
    this.#closing = this.#end(() => this.consumer.close());
    await this.#closing;
  }

  /** Acknowledgements of one turn share the client's promise: they share ours as well, instead of one more each. */
  #acked(receipt: Promise<void>): Promise<void> {
    if (receipt !== this.#receipt) {
      this.#receipt = receipt;
      this.#shared = receipt.catch(this.#failed);
    }
    return this.#shared;
  }

  async #end(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      this.onClose(this);
    }
  }
}
