import { duplexPair } from 'node:stream';
import type { Dial } from '../connection/dial.js';
import { addressUrl } from '../connection/service-url.js';
import type { Command, CommandFields, CommandName } from '../protocol/command/commands.js';
import { SUBSCRIPTION_TYPE } from '../protocol/command/enumerations.js';
import { FakeConnection } from './fake-broker.connection.js';
import { FakeSubscription, FakeTopic } from './fake-broker.topic.js';
import { messageFrame, storedEntryOf } from './message-frame.js';

/** How a {@link FakeBroker} behaves. */
export interface FakeBrokerOptions {
  /** Default 5 MiB. */
  readonly maxMessageBytes?: number;
  /** Default `false`. */
  readonly deduplication?: boolean;
  /** Topics with partitions. */
  readonly partitions?: Readonly<Record<string, number>>;
  /** Lookups answer that the broker is behind the service URL, as a standalone does. Default `false`. */
  readonly proxy?: boolean;
}

/** Handles a command instead of the broker; `false`: the broker handles it all the same. `handle` lets it do so later. */
export type Script<N extends CommandName> = (
  connection: FakeConnection,
  fields: CommandFields<N>,
  handle: () => void,
) => boolean;

type AnyScript = (connection: FakeConnection, command: Command, handle: () => void) => boolean;

interface FakeProducer {
  readonly connection: FakeConnection;
  readonly topic: string;
  readonly name: string;
}

interface FakeConsumer {
  readonly connection: FakeConnection;
  readonly topic: string;
  readonly subscription: FakeSubscription;
  readonly consumerId: number;
  readonly countsRedeliveries: boolean;
  readonly epoch: number | undefined;
  permits: number;
}

const LEDGER = 7n;
/** Whatever schema is declared. */
const SCHEMA_VERSION = Buffer.from([0, 0, 0, 0, 0, 0, 0, 3]);

/**
 * A broker in memory, for the state machines of a client: it stores, delivers by permits, acknowledges, and does what a script says
 * instead. Without sockets and without time of its own.
 *
 * @example
 * ```ts
 * const broker = new FakeBroker();
 * const client = new PulsarClient({ serviceUrl: 'pulsar://broker:6650', dial: broker.dial, clock, random });
 * broker.script('send', () => true); // swallows every message
 * ```
 */
export class FakeBroker {
  /** Every connection that was made, also those that are gone. */
  readonly connections: FakeConnection[] = [];
  readonly topics = new Map<string, FakeTopic>();
  /** While `true` nobody can connect. */
  down = false;
  /** What a lookup answers. */
  brokerUrl = 'pulsar://broker:6650';
  readonly #scripts = new Map<CommandName, AnyScript>();
  readonly #producers = new Map<string, FakeProducer>();
  readonly #consumers = new Map<string, FakeConsumer>();
  #names = 0;

  constructor(private readonly options: FakeBrokerOptions = {}) {}

  /** Give it to the client. Its streams give what they receive by `data`. */
  readonly dial: (address: Parameters<Dial>[0], signal: AbortSignal) => ReturnType<Dial> = (address, signal) => {
    if (signal.aborted) {
      return Promise.reject(signal.reason);
    }
    if (this.down) {
      return Promise.reject(new Error('connection refused'));
    }
    const [client, server] = duplexPair();
    this.connections.push(
      new FakeConnection(
        addressUrl(address),
        server,
        client,
        (connection, command, frame) => this.#onCommand(connection, command, frame),
        (connection) => this.#onEnd(connection),
      ),
    );
    return Promise.resolve(client);
  };

  /** Connections that are open now. */
  get open(): readonly FakeConnection[] {
    return this.connections.filter(({ isOpen }) => isOpen);
  }

  /** Consumers that are registered now. */
  get consumers(): number {
    return this.#consumers.size;
  }

  /** Everything of one name that clients have sent, on all connections. */
  all<N extends CommandName>(name: N): readonly CommandFields<N>[] {
    return this.connections.flatMap((connection) => [...connection.all(name)]);
  }

  /** Replaces what the broker does with a command, until {@link unscript}. */
  script<N extends CommandName>(name: N, script: Script<N>): void {
    this.#scripts.set(name, (connection, command, handle) => {
      const fields = connection.all(name).at(-1);
      return command.name === name && fields !== undefined && script(connection, fields, handle);
    });
  }

  unscript(name: CommandName): void {
    this.#scripts.delete(name);
  }

  topic(name: string): FakeTopic {
    let topic = this.topics.get(name);
    if (topic === undefined) {
      topic = new FakeTopic(this.options.deduplication ?? false);
      this.topics.set(name, topic);
    }
    return topic;
  }

  /** Moves a topic away: tells its producers and consumers, and forgets them. The connections stay. */
  unload(topic: string, assignedBrokerServiceUrl?: string): void {
    for (const [key, producer] of this.#producers) {
      if (producer.topic === topic) {
        this.#producers.delete(key);
        const producerId = Number(key.split('|')[1]);
        producer.connection.send('closeProducer', { producerId, requestId: -1, assignedBrokerServiceUrl });
      }
    }
    for (const [key, consumer] of this.#consumers) {
      if (consumer.topic === topic) {
        this.#consumers.delete(key);
        consumer.subscription.redeliver([], false);
        const { consumerId } = consumer;
        consumer.connection.send('closeConsumer', { consumerId, requestId: -1, assignedBrokerServiceUrl });
      }
    }
  }

  /** Sends what may be sent to every consumer. */
  dispatch(): void {
    for (const consumer of this.#consumers.values()) {
      const { subscription } = consumer;
      while (consumer.permits > 0 && subscription.ready.length > 0) {
        const entryId = subscription.ready.shift() ?? -1n;
        const entry = this.topic(consumer.topic).entries[Number(entryId)];
        if (entry === undefined) {
          continue;
        }
        const { ackSet, redeliveryCount } = subscription.delivery(entryId);
        consumer.permits -= ackSet === undefined ? entry.messages : bitsIn(ackSet);
        const messageId = { ledgerId: LEDGER, entryId, ackSet: new Int32Array(0) };
        const command = {
          consumerId: consumer.consumerId,
          messageId,
          redeliveryCount,
          ackSet,
          consumerEpoch: consumer.epoch,
        };
        consumer.connection.raw(messageFrame(command, entry.stored));
      }
    }
  }

  #onEnd(gone: FakeConnection): void {
    for (const [key, producer] of this.#producers) {
      if (producer.connection === gone) {
        this.#producers.delete(key);
      }
    }
    for (const [key, consumer] of this.#consumers) {
      if (consumer.connection === gone) {
        this.#consumers.delete(key);
        consumer.subscription.redeliver([], false);
      }
    }
    this.dispatch();
  }

  #onCommand(connection: FakeConnection, command: Command, frame: Buffer): void {
    const handle = (): void => this.#handle(connection, command, frame);
    if (this.#scripts.get(command.name)?.(connection, command, handle) !== true) {
      handle();
    }
  }

  #handle(connection: FakeConnection, command: Command, frame: Buffer): void {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- what clients do not send is not answered
    switch (command.name) {
      case 'connect':
        connection.send('connected', {
          serverVersion: 'fake',
          protocolVersion: Math.min(21, command.fields.protocolVersion ?? 0),
          maxMessageSize: this.options.maxMessageBytes ?? 5 * 1024 * 1024,
        });
        return;
      case 'ping':
        connection.send('pong', {});
        return;
      case 'partitionedMetadata': {
        const { requestId, topic } = command.fields;
        const partitions = this.options.partitions?.[topic] ?? 0;
        connection.send('partitionedMetadataResponse', { requestId, partitions, response: 0 });
        return;
      }
      case 'getTopicsOfNamespace': {
        const { requestId, namespace } = command.fields;
        const topics = [...this.topics.keys()].filter((topic) => topic.startsWith(`persistent://${namespace}/`));
        connection.send('getTopicsOfNamespaceResponse', { requestId, topics });
        return;
      }
      case 'lookup':
        connection.send('lookupResponse', {
          requestId: command.fields.requestId,
          response: 1,
          brokerServiceUrl: this.brokerUrl,
          authoritative: true,
          proxyThroughServiceUrl: this.options.proxy ?? false,
        });
        return;
      case 'producer':
        this.#onProducer(connection, command.fields);
        return;
      case 'send':
        this.#onSend(connection, command.fields, frame);
        return;
      case 'closeProducer':
        this.#producers.delete(keyOf(connection, command.fields.producerId, this.connections));
        connection.send('success', { requestId: command.fields.requestId });
        return;
      case 'subscribe':
        this.#onSubscribe(connection, command.fields);
        return;
      default:
        this.#onConsumerCommand(connection, command);
    }
  }

  #onConsumerCommand(connection: FakeConnection, command: Command): void {
    const id = 'consumerId' in command.fields ? command.fields.consumerId : -1;
    const consumer = this.#consumers.get(keyOf(connection, id, this.connections));
    if (consumer === undefined) {
      return;
    }
    const { subscription } = consumer;
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others were handled before
    switch (command.name) {
      case 'flow':
        consumer.permits += command.fields.messagePermits;
        break;
      case 'ack': {
        const { ackType, messageIds, requestId } = command.fields;
        // Several positions in a cumulative one: answered with success and ignored, as the real one does.
        for (const { entryId, ackSet } of ackType === 1 && messageIds.length !== 1 ? [] : messageIds) {
          if (ackType === 1) {
            subscription.acknowledgeThrough(ackSet.length > 0 ? entryId - 1n : entryId);
          }
          if (ackType === 0 || ackSet.length > 0) {
            subscription.acknowledge(entryId, ackSet);
          }
        }
        if (requestId !== undefined) {
          connection.send('ackResponse', { consumerId: id, requestId });
        }
        break;
      }
      case 'redeliverUnacknowledgedMessages': {
        const entryIds = consumer.countsRedeliveries ? command.fields.messageIds.map(({ entryId }) => entryId) : [];
        subscription.redeliver(entryIds, consumer.countsRedeliveries);
        const epoch = command.fields.consumerEpoch ?? consumer.epoch;
        this.#consumers.set(keyOf(connection, id, this.connections), { ...consumer, epoch });
        break;
      }
      case 'getLastMessageId': {
        const last = this.topic(consumer.topic).entries.at(-1);
        connection.send('getLastMessageIdResponse', {
          requestId: command.fields.requestId,
          lastMessageId: {
            ledgerId: LEDGER,
            entryId: last?.entryId ?? -1n,
            batchIndex: last === undefined || last.messages === 1 ? undefined : last.messages - 1,
            ackSet: new Int32Array(0),
          },
          consumerMarkDeletePosition: {
            ledgerId: LEDGER,
            entryId: subscription.passed((last?.entryId ?? -1n) + 1n),
            ackSet: new Int32Array(0),
          },
        });
        return;
      }
      case 'seek': {
        const from = command.fields.messageId?.entryId ?? 0n;
        this.#consumers.delete(keyOf(connection, id, this.connections));
        subscription.unacknowledged.clear();
        subscription.ready.splice(0);
        for (let entry = from < 0n ? 0n : from; entry < BigInt(this.topic(consumer.topic).entries.length); entry++) {
          subscription.ready.push(entry);
        }
        connection.send('closeConsumer', { consumerId: id, requestId: -1 });
        connection.send('success', { requestId: command.fields.requestId });
        return;
      }
      case 'closeConsumer':
      case 'unsubscribe':
        if (command.name === 'unsubscribe') {
          this.topic(consumer.topic).forget(subscription);
        }
        this.#consumers.delete(keyOf(connection, id, this.connections));
        subscription.redeliver([], false);
        connection.send('success', { requestId: command.fields.requestId });
        break;
      default:
        return;
    }
    this.dispatch();
  }

  #onProducer(connection: FakeConnection, fields: CommandFields<'producer'>): void {
    const name = fields.producerName ?? `fake-${this.#names++}`;
    const lastSequenceId = this.topic(fields.topic).lastSequenceId(name);
    this.#producers.set(keyOf(connection, fields.producerId, this.connections), {
      connection,
      topic: fields.topic,
      name,
    });
    const schemaVersion = fields.schema === undefined ? undefined : SCHEMA_VERSION;
    connection.send('producerSuccess', {
      requestId: fields.requestId,
      producerName: name,
      lastSequenceId,
      schemaVersion,
    });
  }

  #onSend(connection: FakeConnection, fields: CommandFields<'send'>, frame: Buffer): void {
    const { producerId, sequenceId, highestSequenceId } = fields;
    const producer = this.#producers.get(keyOf(connection, producerId, this.connections));
    if (producer === undefined) {
      // As the real one does.
      connection.cut();
      return;
    }
    const entryId = this.topic(producer.topic).append(storedEntryOf(frame, 0, frame.length), highestSequenceId);
    connection.send('sendReceipt', {
      producerId,
      sequenceId,
      highestSequenceId,
      messageId: { ledgerId: entryId < 0n ? -1n : LEDGER, entryId, ackSet: new Int32Array(0) },
    });
    this.dispatch();
  }

  #onSubscribe(connection: FakeConnection, fields: CommandFields<'subscribe'>): void {
    const topic = this.topic(fields.topic);
    const end = BigInt(topic.entries.length);
    let subscription = topic.subscriptions.get(fields.subscription);
    if (subscription === undefined || fields.durable === false) {
      const start = fields.startMessageId;
      const after = start === undefined ? -1n : start.batchIndex === undefined ? start.entryId : start.entryId - 1n;
      const first = fields.durable === false ? after + 1n : fields.initialPosition === 1 ? 0n : end;
      subscription = new FakeSubscription(first, end);
      topic.subscriptions.set(fields.subscription, subscription);
    }
    this.#consumers.set(keyOf(connection, fields.consumerId, this.connections), {
      connection,
      topic: fields.topic,
      subscription,
      consumerId: fields.consumerId,
      countsRedeliveries:
        fields.subscriptionType === SUBSCRIPTION_TYPE.Shared ||
        fields.subscriptionType === SUBSCRIPTION_TYPE.Key_Shared,
      epoch: fields.consumerEpoch,
      permits: 0,
    });
    connection.send('success', { requestId: fields.requestId });
  }
}

function keyOf(connection: FakeConnection, id: number, all: readonly FakeConnection[]): string {
  return `${all.indexOf(connection)}|${id}`;
}

function bitsIn(halves: Int32Array): number {
  let count = 0;
  for (let half of halves) {
    for (; half !== 0; half &= half - 1) {
      count++;
    }
  }
  return count;
}
