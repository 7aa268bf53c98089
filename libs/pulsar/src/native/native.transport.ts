import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timer } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError, TransportUnavailableError } from '../pulsar.errors.js';
import type { ConnectionOptions, PulsarTls, PulsarToken } from '../pulsar.options.js';
import { brokerFailure, unsupported } from '../transport/broker-failure.js';
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
/**
 * The client leaves messages uncompressed at every spelling that it does not know, in silence. Not zlib: it discards an empty message that is
 * compressed by it, one of its own, too.
 */
const COMPRESSIONS: Readonly<
  Partial<Record<TransportProducerOptions['compression'], NativeProducerOptions['compressionType']>>
> = Object.freeze({ none: 'None', lz4: 'LZ4', zstd: 'ZSTD', snappy: 'SNAPPY' });

const CAPABILITIES: TransportCapabilities = Object.freeze({
  subscriptionTypes: Object.freeze(['Exclusive', 'Failover', 'Shared', 'Key_Shared'] as const),
  delayedDelivery: true,
  nackDelay: true,
  batching: true,
  compression: Object.freeze(['none', 'lz4', 'zstd', 'snappy'] as const),
  deduplication: true,
  nonDurable: false,
  cumulativeAck: true,
  ackReceipts: false,
  tombstones: false,
  orderingKeys: true,
  keyedBatching: true,
  producerIdentity: true,
  topicLists: false,
  exactPermits: false,
  endlessSends: false,
  // The client refuses the broker's 5 MiB itself: the message's own frame counts, too.
  maxPayloadBytes: 5_242_880 - 1_024,
});
/** Asked about when connecting; it need not exist. */
const PROBE_TOPIC = 'persistent://public/default/smartpulse-connect';
/** A broker that says so is there, and has let us in: what this role may do elsewhere is not said by it. */
const ANSWERS: ReadonlySet<string> = new Set(['SMARTPULSE_PULSAR_AUTHORIZATION', 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND']);
/** The client divides it by the number of partitions, and rejects above; our own window bounds what is pending. */
const NO_LIMIT = 0x7fff_ffff;
const LOG_ERRORS = 3;
/** What the client reads ahead of the receives is kept from other consumers. */
const [MIN_RECEIVER_QUEUE, MAX_RECEIVER_QUEUE] = [16, 1_000];
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
 * nothing and does more. With a token supplier the addon keeps the process from ending by itself, also when all is closed.
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
  #tokenFailure: { readonly error: unknown } | undefined;
  #closing: Promise<void> | undefined;

  /** @throws PulsarError of code `SMARTPULSE_PULSAR_UNSUPPORTED` for a host name of the certificate: the client has no such option. */
  constructor(options: ConnectionOptions, parts: NativeTransportParts) {
    super();
    if (options.tls?.servername !== undefined) {
      throw unsupported('native', 'name that a certificate must carry (tls.servername)');
    }
    this.#options = options;
    this.#clock = parts.clock;
    this.#load = parts.load ?? loadClient;
  }

  /**
   * @throws TransportUnavailableError when `pulsar-client` cannot be loaded; PulsarError when no broker has answered within `connectTimeoutMs`, or it
   *   refused the token.
   */
  override async connect(): Promise<void> {
    const client = await this.#opened();
    try {
      // The client makes no connection before it is asked for something.
      await this.#failingAs('connect', undefined, () =>
        this.#inTime(
          this.#options.connectTimeoutMs,
          () => client.getPartitionsForTopic(PROBE_TOPIC),
          'No broker has answered',
          // The client tries again until its own time is over, and does not tell one from the other.
          ': it cannot be reached, or it refused the token',
        ),
      );
    } catch (error) {
      if (!PulsarError.is(error) || !ANSWERS.has(error.code)) {
        throw error;
      }
    }
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    const { topic, batching, maxPendingMessages, sendTimeoutMs, producerName } = options;
    if (sendTimeoutMs === 0) {
      throw unsupported('native', 'send without a time limit (sendTimeoutMs: 0)', topic);
    }
    const compressionType = COMPRESSIONS[options.compression];
    if (compressionType === undefined) {
      throw unsupported('native', `compression by ${options.compression}`, topic);
    }
    const client = await this.#opened(topic);
    const made = await this.#failingAs('createProducer', topic, () =>
      client.createProducer({
        topic,
        ...(producerName === undefined ? {} : { producerName }),
        sendTimeoutMs,
        // Above our own window, which waits where the client would reject.
        maxPendingMessages: maxPendingMessages + 1,
        maxPendingMessagesAcrossPartitions: NO_LIMIT,
        // Batches of one are none, and the client's setter throws at 1.
        batchingEnabled: batching.enabled && batching.maxMessages > 1,
        batchingMaxMessages: Math.max(2, batching.maxMessages),
        batchingMaxAllowedSizeInBytes: batching.maxBytes,
        batchingMaxPublishDelayMs: Math.max(1, batching.maxDelayMs),
        batchingType: batching.keyed === 'mixed' ? 'DefaultBatching' : 'KeyBasedBatching',
        messageRoutingMode: 'RoundRobinDistribution',
        hashingScheme: 'JavaStringHash',
        compressionType,
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
        receiverQueueSize: Math.min(MAX_RECEIVER_QUEUE, Math.max(MIN_RECEIVER_QUEUE, options.expectedPermits ?? 0)),
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
    // One that cannot be closed must keep neither the others nor the client open, which would keep the process.
    const closed = [
      ...(await Promise.allSettled([...this.#consumers].map((consumer) => consumer.close()))),
      ...(await Promise.allSettled([...this.#producers].map((producer) => producer.close()))),
      ...(await Promise.allSettled([this.#closeClient()])),
    ];
    await this.#removeCertificates();
    const failure = closed.find((one) => one.status === 'rejected');
    if (failure !== undefined) {
      throw failure.reason;
    }
  }

  async #closeClient(): Promise<void> {
    // Whoever waited for a client that could not be opened was told.
    const [opened] = await Promise.allSettled([this.#client]);
    if (opened.status === 'fulfilled' && opened.value !== undefined) {
      const client = opened.value;
      await this.#failingAs('close', undefined, () => client.close());
    }
  }

  async #removeCertificates(): Promise<void> {
    const folder = this.#certificates;
    this.#certificates = undefined;
    if (folder !== undefined) {
      await rm(folder, { recursive: true, force: true });
    }
  }

  #opened(topic?: string): Promise<NativeClient> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('transport', topic));
    }
    this.#client ??= this.#open().catch(async (error: unknown) => {
      this.#client = undefined;
      await this.#removeCertificates();
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
        ...(token === undefined
          ? {}
          : { authentication: new native.AuthenticationToken({ token: this.#supplier(token) }) }),
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

  /**
   * The client waits for ever on a supplier that rejects or does not answer, with a thread that all of it needs: it is told an empty token, which
   * the broker refuses, and we tell why.
   */
  #supplier(token: PulsarToken): PulsarToken {
    // So that whoever connects is told before the time of the connection is over.
    const ms = Math.ceil(this.#options.connectTimeoutMs / 2);
    return typeof token === 'string'
      ? token
      : async () => {
          try {
            const current = await this.#inTime(ms, async () => token(), 'The token supplier has not answered');
            this.#tokenFailure = undefined;
            return current;
          } catch (error) {
            this.#tokenFailure = { error };
            return '';
          }
        };
  }

  async #inTime<T>(ms: number, work: () => Promise<T>, problem: string, why = ''): Promise<T> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#clock.setTimer(ms, () =>
        reject(brokerFailure('SMARTPULSE_PULSAR_CONNECTION', `${problem} within ${ms} ms${why}.`)),
      );
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      timer?.cancel();
    }
  }

  async #failingAs<T>(action: NativeAction, topic: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const supplier = this.#tokenFailure;
      throw supplier === undefined
        ? nativeFailure(action, error, topic)
        : brokerFailure('SMARTPULSE_PULSAR_AUTHENTICATION', 'The token supplier failed.', {
            kind: 'transient',
            topic,
            cause: supplier.error,
          });
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
