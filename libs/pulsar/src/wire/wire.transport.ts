import { type ClientEvent, type ConsumerListener, PulsarClient } from '@smartpulse/pulsar-wire';
import type { Clock, Random } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import type { ConnectionOptions } from '../pulsar.options.js';
import {
  PulsarTransport,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';
import { WireTransportConsumer } from './wire.consumer.js';
import { wireFailure } from './wire.failures.js';
import { WireMessageView } from './wire.message.js';
import { WireTransportProducer } from './wire.producer.js';

const CAPABILITIES: TransportCapabilities = Object.freeze({
  subscriptionTypes: Object.freeze(['Exclusive', 'Failover', 'Shared', 'Key_Shared'] as const),
  delayedDelivery: true,
  nackDelay: true,
  batching: true,
  compression: Object.freeze(['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const),
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
  // The broker's default; one with another limit says so when it connects, and what is above it is refused all the same.
  maxPayloadBytes: 5_242_880,
});

/** What a {@link WireTransport} is made of beside its options. */
export interface WireTransportParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Hears of lost connections, moved topics and dropped entries. Default: nobody. */
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
}

/**
 * The way to a Pulsar cluster by its binary protocol, in TypeScript: no addon. Producers and consumers come back by themselves after a lost
 * connection, a moved topic or a restarted broker.
 */
export class WireTransport extends PulsarTransport {
  readonly name = 'wire';
  readonly durable = true;
  readonly shared = true;
  readonly brokerInstance = 'pulsar';
  readonly capabilities = CAPABILITIES;
  readonly #client: PulsarClient;
  readonly #producers = new Set<WireTransportProducer>();
  readonly #consumers = new Set<WireTransportConsumer>();
  #closing: Promise<void> | undefined;

  /** @throws PulsarError of code `SMARTPULSE_PULSAR_INVALID_OPTIONS` when the URL is none. */
  constructor(options: ConnectionOptions, parts: WireTransportParts) {
    super();
    try {
      this.#client = new PulsarClient({
        serviceUrl: options.url,
        clock: parts.clock,
        random: parts.random,
        token: options.token,
        tls: options.tls,
        connectTimeoutMs: options.connectTimeoutMs,
        operationTimeoutMs: options.operationTimeoutMs,
        onEvent: parts.onEvent,
      });
    } catch (error) {
      throw wireFailure(error, undefined);
    }
  }

  override async connect(): Promise<void> {
    this.#check(undefined);
    await this.#failingAs(undefined, () => this.#client.connect());
  }

  override async listTopics(namespace: string): Promise<readonly string[]> {
    this.#check(undefined);
    return this.#failingAs(undefined, () => this.#client.topics(namespace));
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    const { topic, batching } = options;
    this.#check(topic);
    const made = await this.#failingAs(topic, () =>
      this.#client.createProducer({
        topic,
        producerName: options.producerName,
        batching,
        maxPendingMessages: options.maxPendingMessages,
        maxPendingBytes: options.maxPendingBytes,
        compression: options.compression,
        sendTimeoutMs: options.sendTimeoutMs,
      }),
    );
    const producer = new WireTransportProducer(topic, made, (closed) => this.#producers.delete(closed));
    this.#producers.add(producer);
    return producer;
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    const { topic, subscription } = options;
    this.#check(topic);
    const made = await this.#failingAs(topic, () =>
      this.#client.subscribe(
        {
          topic,
          subscription,
          type: options.type,
          initialPosition: options.initialPosition,
          durable: options.durable,
          consumerName: options.consumerName,
          // What is out is bounded by the window, and a copy costs as much as everything else together.
          payloads: 'view',
        },
        listening(topic, listener),
      ),
    );
    const consumer = new WireTransportConsumer(topic, subscription, made, (closed) => this.#consumers.delete(closed));
    this.#consumers.add(consumer);
    return consumer;
  }

  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.all([...this.#producers].map((producer) => producer.close()));
    await this.#client.close();
  }

  #check(topic: string | undefined): void {
    if (this.#closing !== undefined) {
      throw new PulsarClosedError('transport', topic);
    }
  }

  async #failingAs<T>(topic: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw wireFailure(error, topic);
    }
  }
}

function listening(topic: string, listener: TransportConsumerListener): ConsumerListener {
  return {
    onMessage: (message) => listener.onMessage(new WireMessageView(message)),
    onClosed: (error) => listener.onClosed(PulsarError.is(error) ? error : wireFailure(error, topic)),
  };
}
