import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@smartpulse/resilience';
import { PulsarClosedError, TransportUnavailableError } from '../pulsar.errors.js';
import type { ConnectionOptions, PulsarTls } from '../pulsar.options.js';
import { unsupported } from '../transport/broker-failure.js';
import {
  PulsarTransport,
  type SubscriptionType,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';
import type {
  NativeClient,
  NativeClientOptions,
  NativeConsumerOptions,
  NativeModule,
  NativeProducerOptions,
} from './native.client.js';
import { NativeTransportConsumer } from './native.consumer.js';
import { type NativeAction, nativeFailure } from './native.failures.js';
import { NativeTransportProducer } from './native.producer.js';

/** The client says Exclusive to every spelling that it does not know, in silence. */
const TYPES: Readonly<Record<SubscriptionType, NativeConsumerOptions['subscriptionType']>> = Object.freeze({
  Exclusive: 'Exclusive',
  Failover: 'Failover',
  Shared: 'Shared',
  Key_Shared: 'KeyShared',
});
/** The client leaves messages uncompressed at every spelling that it does not know, in silence. */
const COMPRESSIONS: Readonly<
  Record<TransportProducerOptions['compression'], NativeProducerOptions['compressionType']>
> = Object.freeze({ none: 'None', lz4: 'LZ4', zlib: 'Zlib', zstd: 'ZSTD', snappy: 'SNAPPY' });

const CAPABILITIES: TransportCapabilities = Object.freeze({
  subscriptionTypes: Object.freeze(['Exclusive', 'Failover', 'Shared', 'Key_Shared'] as const),
  delayedDelivery: true,
  nackDelay: true,
  batching: true,
  compression: Object.freeze(['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const),
  deduplication: true,
  nonDurable: false,
  cumulativeAck: true,
  ackReceipts: false,
  tombstones: false,
  orderingKeys: true,
  keyedBatching: true,
  producerIdentity: true,
  exactPermits: false,
  endlessSends: false,
  // The client refuses the broker's 5 MiB itself: the message's own frame counts, too.
  maxPayloadBytes: 5_242_880 - 1_024,
});
const LOG_ERRORS = 3;
const RECEIVER_QUEUE = 1_000;
/** The shortest that the client knows; the delay itself is ours. */
const NACK_AT_ONCE_MS = 100;

/** What a {@link NativeTransport} is made of beside its options. */
export interface NativeTransportParts {
  readonly clock: Clock;
  /** Loads the official client. Default: `import('pulsar-client')`. */
  readonly load?: (() => Promise<NativeModule>) | undefined;
}

/**
 * The way to a Pulsar cluster by the official client, an addon that is loaded on first use. For those who want its C++ core; `wire` needs
 * nothing and does more.
 */
export class NativeTransport extends PulsarTransport {
  readonly name = 'native';
  readonly durable = true;
  readonly shared = true;
  readonly brokerInstance = 'pulsar';
  readonly capabilities = CAPABILITIES;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #load: () => Promise<NativeModule>;
  readonly #producers = new Set<NativeTransportProducer>();
  /** Strong references, from subscribing until closed. */
  readonly #consumers = new Set<NativeTransportConsumer>();
  #client: Promise<NativeClient> | undefined;
  #certificates: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ConnectionOptions, parts: NativeTransportParts) {
    super();
    this.#options = options;
    this.#clock = parts.clock;
    this.#load = parts.load ?? loadClient;
  }

  /** @throws TransportUnavailableError when `pulsar-client` cannot be loaded. */
  override async connect(): Promise<void> {
    const client = await this.#opened();
    // The client makes no connection before it is asked for something.
    await this.#failingAs('connect', undefined, () =>
      client.getPartitionsForTopic('persistent://public/default/smartpulse-connect'),
    );
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    const { topic, batching, maxPendingMessages, sendTimeoutMs, producerName } = options;
    if (sendTimeoutMs === 0) {
      throw unsupported('native', 'send without a time limit (sendTimeoutMs: 0)', topic);
    }
    const client = await this.#opened(topic);
    const made = await this.#failingAs('createProducer', topic, () =>
      client.createProducer({
        topic,
        ...(producerName === undefined ? {} : { producerName }),
        sendTimeoutMs,
        // Above our own window, which waits where the client would reject.
        maxPendingMessages: maxPendingMessages + 1,
        maxPendingMessagesAcrossPartitions: Math.max(50_000, maxPendingMessages + 1),
        batchingEnabled: batching.enabled,
        batchingMaxMessages: batching.maxMessages,
        batchingMaxAllowedSizeInBytes: batching.maxBytes,
        batchingMaxPublishDelayMs: Math.max(1, batching.maxDelayMs),
        batchingType: 'KeyBasedBatching',
        messageRoutingMode: 'RoundRobinDistribution',
        hashingScheme: 'JavaStringHash',
        compressionType: COMPRESSIONS[options.compression],
      }),
    );
    const producer = new NativeTransportProducer(made, options, CAPABILITIES.maxPayloadBytes, (closed) =>
      this.#producers.delete(closed),
    );
    this.#producers.add(producer);
    return producer;
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    const { topic, subscription, consumerName } = options;
    if (!options.durable) {
      throw unsupported('native', 'subscription that is not durable', topic);
    }
    const client = await this.#opened(topic);
    const made = await this.#failingAs('subscribe', topic, () =>
      client.subscribe({
        topic,
        subscription,
        subscriptionType: TYPES[options.type],
        subscriptionInitialPosition: options.initialPosition === 'earliest' ? 'Earliest' : 'Latest',
        ...(consumerName === undefined ? {} : { consumerName }),
        receiverQueueSize: RECEIVER_QUEUE,
        nAckRedeliverTimeoutMs: NACK_AT_ONCE_MS,
        // Without it one message that is given back brings its whole batch.
        batchIndexAckEnabled: true,
      }),
    );
    const consumer = new NativeTransportConsumer(made, options, listener, this.#clock, (closed) =>
      this.#consumers.delete(closed),
    );
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
    try {
      // Whoever waited for a client that could not be opened was told.
      const [opened] = await Promise.allSettled([this.#client]);
      if (opened.status === 'fulfilled') {
        await opened.value?.close();
      }
    } finally {
      if (this.#certificates !== undefined) {
        await rm(this.#certificates, { recursive: true, force: true });
      }
    }
  }

  #opened(topic?: string): Promise<NativeClient> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('transport', topic));
    }
    this.#client ??= this.#open().catch((error: unknown) => {
      this.#client = undefined;
      throw error;
    });
    return this.#client;
  }

  async #open(): Promise<NativeClient> {
    const { url, token, tls, operationTimeoutMs, connectTimeoutMs } = this.#options;
    let native: NativeModule;
    try {
      native = await this.#load();
    } catch (cause) {
      throw new TransportUnavailableError('native', 'pulsar-client', "transport: 'wire', which needs no addon", cause);
    }
    return this.#failingAs('connect', undefined, async () => {
      const certificates = tls === undefined ? {} : await this.#certificateFiles(tls);
      return new native.Client({
        serviceUrl: url,
        ...(token === undefined ? {} : { authentication: new native.AuthenticationToken({ token }) }),
        operationTimeoutSeconds: Math.max(1, Math.ceil(operationTimeoutMs / 1_000)),
        connectionTimeoutMs: connectTimeoutMs,
        ...(url.startsWith('pulsar+ssl:') ? { tlsValidateHostname: true, ...certificates } : {}),
        logLevel: LOG_ERRORS,
        log: () => {},
      });
    });
  }

  /** The client reads certificates from files only. */
  async #certificateFiles({ ca, cert, key }: PulsarTls): Promise<Partial<NativeClientOptions>> {
    const folder = await mkdtemp(join(tmpdir(), 'smartpulse-pulsar-'));
    this.#certificates = folder;
    const write = async (name: string, pem: string | undefined): Promise<string | undefined> => {
      if (pem === undefined) {
        return undefined;
      }
      const file = join(folder, name);
      await writeFile(file, pem, { mode: 0o600 });
      return file;
    };
    const [trusted, own, secret] = await Promise.all([
      write('ca.pem', ca),
      write('cert.pem', cert),
      write('key.pem', key),
    ]);
    return {
      ...(trusted === undefined ? {} : { tlsTrustCertsFilePath: trusted }),
      ...(own === undefined ? {} : { tlsCertificateFilePath: own }),
      ...(secret === undefined ? {} : { tlsPrivateKeyFilePath: secret }),
    };
  }

  async #failingAs<T>(action: NativeAction, topic: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw nativeFailure(action, error, topic);
    }
  }
}

async function loadClient(): Promise<NativeModule> {
  // Not a literal: the package is optional, and neither the compiler nor a bundler is to look for it.
  const name = 'pulsar-client';
  const loaded: unknown = await import(name);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a CommonJS package: its exports are the default one
  const { default: exported, ...named } = loaded as { readonly default?: NativeModule } & NativeModule;
  return exported ?? named;
}
