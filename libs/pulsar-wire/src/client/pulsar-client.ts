import { ConnectionPool } from '../connection/connection-pool.js';
import { dialSocket } from '../connection/dial.js';
import { Retries } from '../connection/retry.js';
import { brokerAddresses } from '../connection/service-url.js';
import { startOf } from '../consumer/consumer-commands.js';
import type { ConsumerListener, ConsumerOptions, WireConsumer } from '../consumer/consumer.options.js';
import { checkConsumerOptions, placeInPartitions } from '../consumer/consumer-settings.js';
import { PartitionedConsumer } from '../consumer/partitioned-consumer.js';
import { TopicConsumer } from '../consumer/topic-consumer.js';
import { LookupService } from '../lookup/lookup-service.js';
import { FrameMemory } from '../producer/frame-memory.js';
import { PartitionedProducer } from '../producer/partitioned-producer.js';
import type { ProducerOptions, WireProducer } from '../producer/producer.options.js';
import { producerSettings } from '../producer/producer-settings.js';
import { TopicProducer, type TopicProducerOptions } from '../producer/topic-producer.js';
import { parseTopicName, partitionTopic, type TopicName } from '../protocol/topic/topic-name.js';
import { type ReaderOptions, WIRE_READER_DEFAULTS, type WireReader } from '../reader/reader.options.js';
import { TopicReader } from '../reader/topic-reader.js';
import type { ClientContext } from './client-context.js';
import { InvalidWireOptionError, WireClosedError } from './client.errors.js';
import { CLIENT_DEFAULTS, type PulsarClientOptions, wholeNumber } from './client.options.js';
import { eventSink } from './event-sink.js';
import { type Growing, PartitionGrowth } from './partition-growth.js';

/**
 * A client of one Pulsar cluster: one connection per broker, shared by all its producers and consumers, which come back by themselves after
 * a lost connection, a moved topic or a restarted broker. Makes no connection before one is needed.
 *
 * @example
 * ```ts
 * const client = new PulsarClient({ serviceUrl: 'pulsar://localhost:6650', clock, random });
 * const producer = await client.createProducer({ topic: 'orders' });
 * await producer.send({ payload: Buffer.from('hello'), key: 'order-1' });
 * const consumer = await client.subscribe({ topic: 'orders', subscription: 'billing', type: 'Shared' }, {
 *   onMessage: (message) => void handle(message).then(() => consumer.ack(message.id)).finally(() => consumer.permit(1)),
 *   onClosed: (error) => console.error(error),
 * });
 * consumer.permit(100);
 * await client.close();
 * ```
 */
export class PulsarClient {
  readonly #context: ClientContext;
  readonly #retries = new Retries();
  readonly #growth: PartitionGrowth;
  readonly #entities = new Set<TopicProducer | TopicConsumer>();
  readonly #random: PulsarClientOptions['random'];
  #lastId = 0;
  #closing: Promise<void> | undefined;

  /** @throws {@link InvalidServiceUrlError}, {@link InvalidWireOptionError} */
  constructor(options: PulsarClientOptions) {
    const addresses = brokerAddresses(options.serviceUrl);
    if (addresses.length === 0) {
      throw new InvalidWireOptionError('serviceUrl', 'is empty');
    }
    const defaults = CLIENT_DEFAULTS;
    const operationTimeoutMs = milliseconds(
      'operationTimeoutMs',
      options.operationTimeoutMs ?? defaults.operationTimeoutMs,
    );
    const nextId = (): number => ++this.#lastId;
    const emit = eventSink(options.onEvent);
    const pool = new ConnectionPool(
      options.dial ?? dialSocket(options.tls),
      milliseconds('connectTimeoutMs', options.connectTimeoutMs ?? defaults.connectTimeoutMs),
      {
        clock: options.clock,
        token: options.token,
        operationTimeoutMs,
        keepAliveMs: milliseconds('keepAliveMs', options.keepAliveMs ?? defaults.keepAliveMs),
        nextId,
        emit,
      },
    );
    const lookups = wholeNumber(
      'maxConcurrentLookups',
      options.maxConcurrentLookups ?? defaults.maxConcurrentLookups,
      1,
    );
    const connections = wholeNumber(
      'connectionsPerBroker',
      options.connectionsPerBroker ?? defaults.connectionsPerBroker,
      1,
      100,
    );
    let attached = 0;
    this.#random = options.random;
    this.#context = {
      clock: options.clock,
      random: options.random,
      operationTimeoutMs,
      backoff: {
        initialMs: milliseconds('backoff.initialMs', options.backoff?.initialMs ?? defaults.backoff.initialMs),
        maxMs: milliseconds('backoff.maxMs', options.backoff?.maxMs ?? defaults.backoff.maxMs),
      },
      pool,
      lookup: new LookupService(pool, addresses, lookups, options.random),
      frameMemory: new FrameMemory(),
      nextId,
      nextSlot: () => attached++ % connections,
      emit,
    };
    this.#growth = new PartitionGrowth(
      options.clock,
      wholeNumber('partitionsCheckMs', options.partitionsCheckMs ?? defaults.partitionsCheckMs, 0, 0x7fff_ffff),
      (topic) => this.#context.lookup.partitions(topic),
      emit,
    );
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#context.pool.size;
  }

  /**
   * Resolves when a broker of the service URL has answered: to learn at start whether address, TLS and token are right. Optional: whatever
   * needs a connection makes one.
   *
   * @throws {@link WireError} of the last address that was tried.
   */
  async connect(): Promise<void> {
    this.#checkOpen();
    await this.#context.lookup.connectService();
  }

  /**
   * Resolves when the broker has accepted the producer, one for each partition of a partitioned topic.
   *
   * @throws {@link WireError}: what may pass by itself only after `operationTimeoutMs`, everything else at once.
   */
  async createProducer(options: ProducerOptions): Promise<WireProducer> {
    const topic = parseTopicName(options.topic);
    const settings = producerSettings(options);
    const keyHash = options.keyHash ?? 'java-string';
    const count = await this.#partitions(topic);
    if (count === 0) {
      return this.#openProducer({ ...settings, topic: topic.full, partition: topic.partition });
    }
    const each: typeof settings = {
      ...settings,
      maxPendingMessages: Math.ceil(settings.maxPendingMessages / count),
      maxPendingBytes: Math.ceil(settings.maxPendingBytes / count),
    };
    const open = (from: number, to: number): Promise<TopicProducer[]> =>
      allOrNone(
        numbers(from, to).map((partition) =>
          this.#openProducer({ ...each, topic: partitionTopic(topic, partition), partition }),
        ),
      );
    const { enabled, maxMessages, maxDelayMs } = settings.batching;
    const whole = new PartitionedProducer(
      topic.full,
      await open(0, count),
      {
        keyHash,
        stickyMessages: enabled ? maxMessages : 1,
        stickyMs: maxDelayMs,
        first: Math.floor(this.#random.next() * count),
      },
      this.#context.clock,
    );
    this.#growth.watch(growing(whole, (to) => whole.add(open(whole.size, to))));
    return whole;
  }

  /**
   * Resolves when the subscription exists, so that nothing published afterwards is missed. Nothing is handed out before `permit`.
   *
   * @throws {@link WireError}: what may pass by itself only after `operationTimeoutMs`, everything else at once.
   */
  async subscribe(options: ConsumerOptions, listener: ConsumerListener): Promise<WireConsumer> {
    checkConsumerOptions(options);
    const topic = parseTopicName(options.topic);
    const count = await this.#partitions(topic);
    if (count === 0) {
      return this.#openConsumer(options, topic.full, listener);
    }
    return this.#openPartitions(options, topic, count, listener);
  }

  /**
   * Resolves when the topic can be read from the place that was asked for.
   *
   * @throws {@link WireError}; {@link InvalidWireOptionError} when no place is named, or that of one partition where there are several.
   */
  async createReader(options: ReaderOptions): Promise<WireReader> {
    const topic = parseTopicName(options.topic);
    const queueSize = wholeNumber('queueSize', options.queueSize ?? WIRE_READER_DEFAULTS.queueSize, 1, 0x7fff_ffff);
    const { startMessageId, startPublishTimeMs, payloads, prefetchBytes } = options;
    const consumer: ConsumerOptions = {
      topic: topic.full,
      // Its own: the cursor ends with it, and no other reader is in its way.
      subscription: `reader-${Math.floor(this.#random.next() * 2 ** 48).toString(36)}-${this.#context.nextId()}`,
      durable: false,
      startMessageId,
      startPublishTimeMs,
      payloads,
      prefetchBytes,
    };
    const start = startOf(consumer);
    if (start === undefined) {
      throw new InvalidWireOptionError(
        'startMessageId',
        'is missing, and startPublishTimeMs too: one of them is needed',
      );
    }
    checkConsumerOptions(consumer);
    const reader = new TopicReader(topic.full, start, queueSize);
    const count = await this.#partitions(topic);
    reader.begin(
      count === 0
        ? await this.#openConsumer(consumer, topic.full, reader.listener)
        : await this.#openPartitions(consumer, topic, count, reader.listener),
    );
    return reader;
  }

  /**
   * The full names of the stored topics of a namespace, sorted; a partitioned one once.
   *
   * @param namespace `tenant/namespace`.
   * @throws {@link WireError}: what may pass by itself only after `operationTimeoutMs`, everything else at once.
   */
  async topics(namespace: string): Promise<readonly string[]> {
    this.#checkOpen();
    const { lookup } = this.#context;
    return this.#retries.run(this.#context, `topics of ${namespace}`, () => lookup.topics(namespace));
  }

  /** Closes every producer (flushed) and every consumer (acknowledgements sent), then the connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#retries.end(new WireClosedError('client'));
    this.#growth.end();
    const entities = [...this.#entities];
    // Consumers first: their handlers may still send.
    await Promise.all(entities.filter((entity) => entity instanceof TopicConsumer).map((entity) => entity.close()));
    await Promise.all(entities.map((entity) => entity.close()));
    this.#context.pool.close();
  }

  async #partitions(topic: TopicName): Promise<number> {
    this.#checkOpen();
    if (topic.partition >= 0) {
      return 0;
    }
    const { lookup } = this.#context;
    const count = await this.#retries.run(this.#context, `partitions of ${topic.full}`, () =>
      lookup.partitions(topic.full),
    );
    this.#checkOpen();
    return count;
  }

  async #openPartitions(
    options: ConsumerOptions,
    topic: TopicName,
    count: number,
    listener: ConsumerListener,
  ): Promise<PartitionedConsumer> {
    const { startMessageId, prefetchBytes } = options;
    const each = {
      ...options,
      ...placeInPartitions(startMessageId),
      prefetchBytes: prefetchBytes && Math.ceil(prefetchBytes / count),
    };
    const whole = new PartitionedConsumer(topic.full, options.subscription, listener);
    const open =
      (how: ConsumerOptions) =>
      (partition: number): Promise<TopicConsumer> =>
        this.#openConsumer(how, partitionTopic(topic, partition), whole.listenerOf(partition));
    await whole.add(count, open(each));
    // What a new partition holds was published after the subscription was made, all of it.
    const fromItsStart: ConsumerOptions = {
      ...each,
      initialPosition: 'earliest',
      startMessageId: undefined,
      startPublishTimeMs: undefined,
    };
    this.#growth.watch(growing(whole, (to) => whole.add(to, open(fromItsStart))));
    return whole;
  }

  async #openProducer(options: TopicProducerOptions): Promise<TopicProducer> {
    const producer = new TopicProducer(this.#context, options, (ended) => this.#entities.delete(ended));
    this.#entities.add(producer);
    await producer.open();
    return producer;
  }

  async #openConsumer(options: ConsumerOptions, topic: string, listener: ConsumerListener): Promise<TopicConsumer> {
    this.#checkOpen();
    const consumer = new TopicConsumer(this.#context, options, topic, listener, (ended) =>
      this.#entities.delete(ended),
    );
    this.#entities.add(consumer);
    await consumer.open();
    return consumer;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) {
      throw new WireClosedError('client');
    }
  }
}

function milliseconds(option: string, value: number): number {
  return wholeNumber(option, value, 1, 0x7fff_ffff);
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** What has partitions, as {@link PartitionGrowth} sees it. */
function growing(
  whole: Pick<Growing, 'topic' | 'size' | 'closed' | 'isLeaving'>,
  grow: (count: number) => Promise<void>,
): Growing {
  return {
    get topic() {
      return whole.topic;
    },
    get size() {
      return whole.size;
    },
    get closed() {
      return whole.closed;
    },
    get isLeaving() {
      return whole.isLeaving;
    },
    grow,
  };
}

/** All of them, or the first failure with the others closed. */
async function allOrNone<T extends { close(): Promise<void> }>(opening: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(opening);
  const failure = settled.find((one) => one.status === 'rejected');
  if (failure === undefined) {
    return settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
  }
  await Promise.all(settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value.close()));
  throw failure.reason;
}
