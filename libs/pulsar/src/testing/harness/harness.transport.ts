import type { BrokerAdmin } from '../../admin/broker-admin.js';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import type { InProcessBroker } from '../../in-process/in-process.broker.js';
import { InProcessTransport } from '../../in-process/in-process.transport.js';
import {
  type MessageId,
  PulsarTransport,
  type TransportCapabilities,
  type TransportConsumer,
  type TransportConsumerListener,
  type TransportProducer,
  type TransportProducerOptions,
  type TransportSubscribeOptions,
} from '../../transport/pulsar.transport.js';
import { FaultInjectingTransport } from '../fault-injecting.transport.js';
import type { HarnessFaults } from './harness-faults.js';
import { HarnessRecords, type OutstandingMessage } from './harness-records.js';

/** What a {@link HarnessTransport} is made of. */
export interface HarnessTransportParts {
  readonly clock: VirtualClock;
  readonly broker: InProcessBroker;
  readonly faults: HarnessFaults;
  /** `false`: every message goes alone and at once, whatever the producers' options say. */
  readonly batching: boolean;
}

/** The way to an in-process broker that tells what passed and fails by plan; what a real broker's options ask for, it takes and leaves. */
export class HarnessTransport extends FaultInjectingTransport {
  readonly clock: VirtualClock;
  readonly broker: InProcessBroker;
  readonly faults: HarnessFaults;
  readonly batching: boolean;
  readonly records: HarnessRecords;

  constructor({ clock, broker, faults, batching }: HarnessTransportParts) {
    const records = new HarnessRecords();
    super(new RecordingTransport(new InProcessTransport(broker), records, batching));
    this.clock = clock;
    this.broker = broker;
    this.faults = faults;
    this.batching = batching;
    this.records = records;
    this.plan = (question) => faults.strike(question);
  }
}

class RecordingTransport extends PulsarTransport {
  readonly #inner: InProcessTransport;
  readonly #records: HarnessRecords;
  readonly #batching: boolean;

  constructor(inner: InProcessTransport, records: HarnessRecords, batching: boolean) {
    super();
    this.#inner = inner;
    this.#records = records;
    this.#batching = batching;
  }

  get name(): string {
    return this.#inner.name;
  }

  get durable(): boolean {
    return this.#inner.durable;
  }

  get shared(): boolean {
    return this.#inner.shared;
  }

  get brokerInstance(): string {
    return this.#inner.brokerInstance;
  }

  /** An app that compresses on its real broker starts here too. */
  get capabilities(): TransportCapabilities {
    return { ...this.#inner.capabilities, compression: ['none', 'lz4', 'zlib', 'zstd', 'snappy'] };
  }

  override get admin(): BrokerAdmin | undefined {
    return this.#inner.admin;
  }

  override listTopics(namespace: string): Promise<readonly string[]> {
    return this.#inner.listTopics(namespace);
  }

  override connect(): Promise<void> {
    return this.#inner.connect();
  }

  override async createProducer(options: TransportProducerOptions): Promise<TransportProducer> {
    const batching = this.#batching ? options.batching : { ...options.batching, enabled: false };
    const producer = await this.#inner.createProducer({ ...options, batching, compression: 'none' });
    const records = this.#records;
    return {
      topic: producer.topic,
      get pending() {
        return producer.pending;
      },
      send: (message, signal) =>
        producer.send(message, signal).then((id) => {
          records.onStored(options.topic, id.toString(), message);
          return id;
        }),
      flush: () => producer.flush(),
      close: () => producer.close(),
    };
  }

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    const { topic, subscription } = options;
    const records = this.#records;
    // As many as the consumer's permits; by the text of their ids, in the order of delivery.
    const mine = new Map<string, OutstandingMessage>();
    const settle = (id: MessageId, how: 'onAcknowledged' | 'onReturned'): void => {
      const outstanding = mine.get(id.toString());
      if (outstanding !== undefined) {
        mine.delete(id.toString());
        records[how](outstanding);
      }
    };
    const returnAll = (): void => {
      mine.forEach((outstanding) => records.onReturned(outstanding));
      mine.clear();
    };
    const consumer = await this.#inner.subscribe(options, {
      onMessage: (message) => {
        mine.set(message.id.toString(), records.onDelivered(topic, subscription, message));
        listener.onMessage(message);
      },
      onClosed: (error) => {
        returnAll();
        listener.onClosed(error);
      },
    });
    return {
      topic: consumer.topic,
      subscription: consumer.subscription,
      permit: (count) => consumer.permit(count),
      ack: async (id) => {
        await consumer.ack(id);
        settle(id, 'onAcknowledged');
      },
      ackCumulative: async (id) => {
        await consumer.ackCumulative(id);
        for (const { message } of mine.values()) {
          settle(message.id, 'onAcknowledged');
          if (message.id.toString() === id.toString()) {
            break;
          }
        }
      },
      nack: (id, delayMs) => {
        consumer.nack(id, delayMs);
        settle(id, 'onReturned');
      },
      close: async () => {
        await consumer.close();
        returnAll();
      },
      unsubscribe: async () => {
        await consumer.unsubscribe();
        returnAll();
      },
    };
  }

  override close(): Promise<void> {
    return this.#inner.close();
  }
}
