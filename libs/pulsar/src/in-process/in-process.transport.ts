import { PulsarClosedError } from '../pulsar.errors.js';
import {
  PulsarTransport,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';
import type { BrokerAdmin } from '../admin/broker-admin.js';
import { InProcessAdmin } from './in-process.admin.js';
import type { InProcessBroker } from './in-process.broker.js';
import { InProcessConsumer } from './in-process.consumer.js';
import { InProcessProducer } from './in-process.producer.js';

const CAPABILITIES: TransportCapabilities = Object.freeze({
  subscriptionTypes: Object.freeze(['Exclusive', 'Failover', 'Shared', 'Key_Shared'] as const),
  delayedDelivery: true,
  nackDelay: true,
  batching: true,
  compression: Object.freeze(['none'] as const),
  deduplication: true,
  nonDurable: true,
  cumulativeAck: true,
  ackReceipts: true,
  tombstones: true,
  orderingKeys: true,
  keyedBatching: true,
  producerIdentity: true,
  topicLists: true,
  exactPermits: true,
  endlessSends: true,
  maxPayloadBytes: 5_242_880,
});

/**
 * The way to an {@link InProcessBroker}. Several transports, of several apps, may share one broker; each closes only what it made.
 *
 * @example
 * ```ts
 * const broker = new InProcessBroker({ clock });
 * const transport = new InProcessTransport(broker);
 * ```
 */
export class InProcessTransport extends PulsarTransport {
  readonly #broker: InProcessBroker;
  readonly #producers = new Set<InProcessProducer>();
  readonly #consumers = new Set<InProcessConsumer>();
  readonly #admin: BrokerAdmin;
  #closed = false;

  readonly name = 'in-process';
  readonly durable = false;
  readonly shared = false;
  readonly brokerInstance: string;
  readonly capabilities = CAPABILITIES;

  constructor(broker: InProcessBroker) {
    super();
    this.#broker = broker;
    this.#admin = new InProcessAdmin(broker);
    this.brokerInstance = broker.instance;
  }

  override get admin(): BrokerAdmin {
    return this.#admin;
  }

  override async connect(): Promise<void> {
    this.#check();
  }

  override async listTopics(namespace: string): Promise<readonly string[]> {
    this.#check();
    return this.#admin.listTopics(namespace, {});
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    this.#check(options.topic);
    const producer = new InProcessProducer(this.#broker, options, CAPABILITIES.maxPayloadBytes, () =>
      this.#producers.delete(producer),
    );
    this.#producers.add(producer);
    return producer;
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    this.#check(options.topic);
    const topic = this.#broker.topic(options.topic);
    const subscription = topic.subscription(
      options.subscription,
      options.type,
      options.durable,
      options.initialPosition,
    );
    const attached = subscription.attach(
      options.type,
      options.consumerName ?? this.#broker.nextProducerName(),
      listener,
    );
    const consumer: InProcessConsumer = new InProcessConsumer(topic, subscription, attached, () =>
      this.#consumers.delete(consumer),
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  override async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#producers].map((producer) => producer.close()));
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
  }

  #check(topic?: string): void {
    if (this.#closed || this.#broker.closed) {
      throw new PulsarClosedError(this.#closed ? 'transport' : 'broker', topic);
    }
  }
}
