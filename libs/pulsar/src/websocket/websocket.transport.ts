import type { Clock, Random } from '@smartpulse/resilience';
import { PulsarClosedError, TransportUnavailableError } from '../pulsar.errors.js';
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
import { MAX_PAYLOAD_BYTES } from './outgoing-frame.js';
import { answersProbe } from './probe.js';
import type { ReconnectingSocketParts } from './reconnecting-socket.js';
import { type Dial, SocketDialer, type WebSocketClass } from './socket-dialer.js';
import { WebSocketConsumer } from './websocket.consumer.js';
import { parseAddress } from './websocket.endpoint.js';
import { WebSocketProducer } from './websocket.producer.js';

const CAPABILITIES: TransportCapabilities = Object.freeze({
  subscriptionTypes: Object.freeze(['Exclusive', 'Failover', 'Shared', 'Key_Shared'] as const),
  delayedDelivery: true,
  nackDelay: true,
  batching: true,
  compression: Object.freeze(['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const),
  deduplication: false,
  nonDurable: true,
  cumulativeAck: false,
  ackReceipts: false,
  tombstones: false,
  orderingKeys: false,
  keyedBatching: false,
  producerIdentity: false,
  topicLists: false,
  exactPermits: false,
  endlessSends: true,
  maxPayloadBytes: MAX_PAYLOAD_BYTES,
});

/** What a {@link WebSocketTransport} is made of beside its options. */
export interface WebSocketTransportParts {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The way to a Pulsar cluster by its WebSocket API, for networks that let nothing else through: one socket for each producer and consumer.
 * They come back by themselves after a lost connection or a restarted broker.
 *
 * Beside what the capabilities say: a message may be delivered twice after a lost connection although it was acknowledged just before, a
 * subscription that is not durable begins anew then, and a consumer holds up to 16 messages that it has no permits for back from others.
 */
export class WebSocketTransport extends PulsarTransport {
  readonly name = 'websocket';
  readonly durable = true;
  readonly shared = true;
  readonly brokerInstance = 'pulsar';
  readonly capabilities = CAPABILITIES;
  readonly #options: ConnectionOptions;
  readonly #parts: WebSocketTransportParts;
  readonly #address: string;
  readonly #producers = new Set<WebSocketProducer>();
  readonly #consumers = new Set<WebSocketConsumer>();
  readonly #abort = new AbortController();
  #dial: Promise<Dial> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws PulsarError of code `SMARTPULSE_PULSAR_INVALID_OPTIONS` when the URL is none. */
  constructor(options: ConnectionOptions, parts: WebSocketTransportParts) {
    super();
    this.#address = parseAddress(options.url);
    this.#options = options;
    this.#parts = parts;
  }

  override async connect(): Promise<void> {
    this.#check(undefined);
    await answersProbe(await this.#dialer(), this.#options.connectTimeoutMs, this.#abort.signal);
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    this.#check(options.topic);
    const parts = await this.#socketParts();
    const producer = new WebSocketProducer(options, parts, this.#options.operationTimeoutMs, (closed) =>
      this.#producers.delete(closed),
    );
    await this.#open(this.#producers, producer);
    return producer;
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    this.#check(options.topic);
    const parts = await this.#socketParts();
    const consumer = new WebSocketConsumer(options, parts, listener, (closed) => this.#consumers.delete(closed));
    await this.#open(this.#consumers, consumer);
    return consumer;
  }

  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort(new PulsarClosedError('transport'));
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.all([...this.#producers].map((producer) => producer.close()));
  }

  /** Known from the first attempt on, so that closing the transport ends it. */
  async #open<T extends WebSocketProducer | WebSocketConsumer>(members: Set<T>, member: T): Promise<void> {
    this.#check(member.topic);
    members.add(member);
    try {
      await member.open(this.#options.operationTimeoutMs);
    } catch (error) {
      members.delete(member);
      throw error;
    }
  }

  async #socketParts(): Promise<ReconnectingSocketParts> {
    const { clock, random } = this.#parts;
    return { dial: await this.#dialer(), clock, random, connectTimeoutMs: this.#options.connectTimeoutMs };
  }

  #dialer(): Promise<Dial> {
    this.#dial ??= loadWebSocket().then(
      (webSocket) => new SocketDialer(webSocket, this.#address, this.#options, this.#parts.clock).dial,
    );
    return this.#dial;
  }

  #check(topic: string | undefined): void {
    if (this.#closing !== undefined) {
      throw new PulsarClosedError('transport', topic);
    }
  }
}

/** Only an application that uses this transport loads the package. */
async function loadWebSocket(): Promise<WebSocketClass> {
  try {
    return (await import('ws')).WebSocket;
  } catch (error) {
    throw new TransportUnavailableError('websocket', 'ws', 'a pulsar:// address', error);
  }
}
