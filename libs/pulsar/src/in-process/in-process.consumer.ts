import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { brokerFailure, foreignMessageId } from '../transport/broker-failure.js';
import type { MessageId, TransportConsumer } from '../transport/pulsar.transport.js';
import type { AttachedConsumer } from './attached-consumer.js';
import type { InProcessSubscription } from './in-process.subscription.js';
import type { InProcessTopic } from './in-process.topic.js';
import { InProcessMessageId } from './stored-message.js';

const DONE = Promise.resolve();

/** One consumer of the in-process broker. */
export class InProcessConsumer implements TransportConsumer {
  readonly #topic: InProcessTopic;
  readonly #subscription: InProcessSubscription;
  readonly #attached: AttachedConsumer;
  readonly #onClose: () => void;

  constructor(
    topic: InProcessTopic,
    subscription: InProcessSubscription,
    attached: AttachedConsumer,
    onClose: () => void,
  ) {
    this.#topic = topic;
    this.#subscription = subscription;
    this.#attached = attached;
    this.#onClose = onClose;
  }

  get topic(): string {
    return this.#topic.name;
  }

  get subscription(): string {
    return this.#subscription.name;
  }

  permit(count: number): void {
    if (this.#attached.attached && count > 0) {
      this.#subscription.permit(this.#attached, count);
    }
  }

  ack(id: MessageId): Promise<void> {
    if (!this.#attached.attached) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    if (!this.#knows(id)) {
      return Promise.reject(foreignMessageId(this.topic));
    }
    this.#subscription.ack(this.#attached, id.position);
    return DONE;
  }

  ackCumulative(id: MessageId): Promise<void> {
    if (!this.#attached.attached) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    if (!this.#knows(id)) {
      return Promise.reject(foreignMessageId(this.topic));
    }
    const { type } = this.#subscription;
    if (type !== 'Exclusive' && type !== 'Failover') {
      return Promise.reject(
        brokerFailure(
          'SMARTPULSE_PULSAR_NOT_ALLOWED',
          `A subscription of type ${type} has no cumulative acknowledgement.`,
          {
            topic: this.topic,
          },
        ),
      );
    }
    this.#subscription.ackThrough(this.#attached, id.position);
    return DONE;
  }

  nack(id: MessageId, delayMs: number): void {
    if (this.#attached.attached && this.#knows(id)) {
      this.#subscription.nack(this.#attached, id.position, delayMs);
    }
  }

  async close(): Promise<void> {
    if (this.#attached.attached) {
      this.#subscription.detach(this.#attached);
      if (!this.#subscription.durable && this.#subscription.consumers === 0) {
        this.#topic.deleteSubscription(this.#subscription);
      }
    }
    this.#onClose();
  }

  async unsubscribe(): Promise<void> {
    if (!this.#attached.attached) {
      throw new PulsarClosedError('consumer', this.topic);
    }
    if (this.#subscription.consumers > 1) {
      throw new PulsarError(
        'SMARTPULSE_PULSAR_CONSUMER_BUSY',
        `Subscription "${this.subscription}" on ${this.topic} has other consumers.`,
        { kind: 'permanent', remedy: 'Close them first.', topic: this.topic },
      );
    }
    await this.close();
    this.#topic.deleteSubscription(this.#subscription);
  }

  #knows(id: MessageId): id is InProcessMessageId {
    return id instanceof InProcessMessageId && id.instance === this.#topic.instance;
  }
}
