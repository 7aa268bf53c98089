import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import type { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import type {
  NativeClient,
  NativeConsumer,
  NativeConsumerOptions,
  NativeId,
  NativeMessage,
  NativeModule,
  NativeProducer,
  NativeProducerOptions,
} from '../native/native.client.js';
import type {
  IncomingMessage,
  MessageId,
  TransportConsumer,
  TransportProducer,
} from '../transport/pulsar.transport.js';

/** The rejections of the official client, as it words them. */
const RESULTS: Readonly<Record<string, string | undefined>> = Object.freeze({
  SMARTPULSE_PULSAR_CLOSED: 'AlreadyClosed',
  SMARTPULSE_PULSAR_CONSUMER_BUSY: 'ConsumerBusy',
  SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH: 'ConsumerBusy',
  SMARTPULSE_PULSAR_PRODUCER_BUSY: 'ProducerBusy',
  SMARTPULSE_PULSAR_TOPIC_TERMINATED: 'TopicTerminated',
  SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE: 'MessageTooBig',
  SMARTPULSE_PULSAR_NOT_ALLOWED: 'ResultCumulativeAcknowledgementNotAllowedError',
});

/** What happened to a {@link fakeNativeModule}. */
export interface FakeNativeLog {
  /** `flush`, `close producer`, `close consumer`, `close client`, in their order. */
  readonly calls: string[];
  /** The most receives that were on the way at once. */
  maxReceives: number;
}

/**
 * Stands in for `pulsar-client` where its addon does not load: the same shapes, words and traps over an {@link InProcessBroker}, so that what
 * we made of the client can be tested everywhere.
 */
export function fakeNativeModule(
  broker: InProcessBroker,
  log: FakeNativeLog = { calls: [], maxReceives: 0 },
): NativeModule {
  class AuthenticationToken {}
  class Client implements NativeClient {
    readonly #transport = new InProcessTransport(broker);

    async createProducer(options: NativeProducerOptions): Promise<NativeProducer> {
      oneOf(options.compressionType, ['None', 'LZ4', 'Zlib', 'ZSTD', 'SNAPPY']);
      const made = await worded('create producer', () =>
        this.#transport.createProducer({
          topic: options.topic,
          ...(options.producerName === undefined ? {} : { producerName: options.producerName }),
          batching: {
            enabled: options.batchingEnabled,
            maxMessages: options.batchingMaxMessages,
            maxBytes: options.batchingMaxAllowedSizeInBytes,
            maxDelayMs: options.batchingMaxPublishDelayMs,
          },
          maxPendingMessages: options.maxPendingMessages,
          maxPendingBytes: Number.MAX_SAFE_INTEGER,
          compression: 'none',
          sendTimeoutMs: options.sendTimeoutMs,
        }),
      );
      return fakeProducer(made, options.maxPendingMessages, log);
    }

    async subscribe(options: NativeConsumerOptions): Promise<NativeConsumer> {
      oneOf(options.subscriptionType, ['Exclusive', 'Failover', 'Shared', 'KeyShared']);
      return FakeConsumer.open(this.#transport, options, log);
    }

    async getPartitionsForTopic(topic: string): Promise<readonly string[]> {
      return [topic];
    }

    async close(): Promise<void> {
      log.calls.push('close client');
      await this.#transport.close();
    }
  }
  return { Client, AuthenticationToken };
}

function fakeProducer(producer: TransportProducer, maxPending: number, log: FakeNativeLog): NativeProducer {
  let closed = false;
  return {
    send: (message) => {
      if (producer.pending >= maxPending) {
        return Promise.reject(new Error('Failed to send message: ProducerQueueIsFull'));
      }
      return worded('send message', () =>
        producer.send({
          payload: message.data,
          ...(message.partitionKey === undefined ? {} : { key: message.partitionKey }),
          ...(message.orderingKey === undefined ? {} : { orderingKey: message.orderingKey }),
          ...(message.properties === undefined ? {} : { properties: message.properties }),
          ...(message.eventTimestamp === undefined ? {} : { eventTimeMs: message.eventTimestamp }),
          ...(message.deliverAt === undefined ? {} : { deliverAtMs: message.deliverAt }),
          ...(message.sequenceId === undefined ? {} : { sequenceId: BigInt(message.sequenceId) }),
        }),
      );
    },
    flush: () => {
      log.calls.push('flush');
      return worded('flush producer', () => producer.flush());
    },
    close: async () => {
      log.calls.push('close producer');
      if (closed) {
        throw new Error('Failed to close producer: AlreadyClosed');
      }
      closed = true;
      await producer.close();
    },
  };
}

class FakeConsumer implements NativeConsumer {
  readonly #receives: { resolve: (message: NativeMessage) => void; reject: (error: Error) => void }[] = [];
  readonly #settling: (() => void)[] = [];
  #closed = false;

  private constructor(
    private readonly consumer: TransportConsumer,
    private readonly log: FakeNativeLog,
  ) {}

  static async open(
    transport: InProcessTransport,
    options: NativeConsumerOptions,
    log: FakeNativeLog,
  ): Promise<FakeConsumer> {
    const made: { consumer?: FakeConsumer } = {};
    const consumer = await worded('create consumer', () =>
      transport.subscribe(
        {
          topic: options.topic,
          subscription: options.subscription,
          type: options.subscriptionType === 'KeyShared' ? 'Key_Shared' : options.subscriptionType,
          initialPosition: options.subscriptionInitialPosition === 'Earliest' ? 'earliest' : 'latest',
          durable: true,
          ...(options.consumerName === undefined ? {} : { consumerName: options.consumerName }),
        },
        {
          onMessage: (message) => made.consumer?.onMessage(message),
          onClosed: () => made.consumer?.onClosed(),
        },
      ),
    );
    made.consumer = new FakeConsumer(consumer, log);
    return made.consumer;
  }

  onMessage(message: IncomingMessage): void {
    const receive = this.#receives.shift();
    this.#settle(() => receive?.resolve(fakeMessage(message)));
  }

  onClosed(): void {
    this.#closed = true;
    for (const { reject } of this.#receives.splice(0)) {
      this.#settle(() => reject(new Error('Failed to receive message: AlreadyClosed')));
    }
  }

  receive(...limits: readonly unknown[]): Promise<NativeMessage> {
    if (limits.length > 0) {
      throw new Error('receive(ms) takes a thread of the pool for as long as it waits');
    }
    if (this.#closed) {
      return Promise.reject(new Error('Failed to receive message: AlreadyClosed'));
    }
    return new Promise((resolve, reject) => {
      this.#receives.push({ resolve, reject });
      this.log.maxReceives = Math.max(this.log.maxReceives, this.#receives.length);
      this.consumer.permit(1);
    });
  }

  acknowledgeId(id: NativeId): Promise<void> {
    return worded('acknowledge id', () => this.consumer.ack(id));
  }

  acknowledgeCumulativeId(id: NativeId): Promise<void> {
    return worded('acknowledge cumulatively by id', () => this.consumer.ackCumulative(id));
  }

  negativeAcknowledgeId(id: NativeId): void {
    this.consumer.nack(id, 100);
  }

  async unsubscribe(): Promise<void> {
    await worded('unsubscribe consumer', () => this.consumer.unsubscribe());
    this.onClosed();
  }

  async close(): Promise<void> {
    this.log.calls.push('close consumer');
    this.onClosed();
    await this.consumer.close();
  }

  /** Those of one turn last to first, as the addon settles them: at the end of the turn, where handles are closed. */
  #settle(receive: () => void): void {
    if (this.#settling.push(receive) === 1) {
      queueMicrotask(() => {
        for (const settle of this.#settling.splice(0).toReversed()) {
          settle();
        }
      });
    }
  }
}

function fakeMessage(message: IncomingMessage): NativeMessage {
  return {
    getTopicName: () => message.topic,
    // An array with named keys, as the addon makes it.
    getProperties: () => Object.assign([], message.properties),
    getData: () => Buffer.from(message.payload),
    getMessageId: (): MessageId => message.id,
    getPublishTimestamp: () => message.publishTimeMs,
    getEventTimestamp: () => message.eventTimeMs ?? 0,
    getRedeliveryCount: () => message.redeliveryCount,
    getPartitionKey: () => message.key ?? '',
    getOrderingKey: () => message.orderingKey ?? '',
    getProducerName: () => message.producerName,
  };
}

function oneOf(value: string, known: readonly string[]): void {
  if (!known.includes(value)) {
    throw new Error(`"${value}" is no spelling that the client knows; it would take its default in silence`);
  }
}

async function worded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const closed = PulsarClosedError.is(error);
    const code = closed ? 'AlreadyClosed' : PulsarError.is(error) ? RESULTS[error.code] : undefined;
    throw new Error(`Failed to ${what}: ${code ?? 'UnknownError'}`, { cause: error });
  }
}
