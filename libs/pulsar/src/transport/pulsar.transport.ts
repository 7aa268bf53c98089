import type { BrokerAdmin } from '../admin/broker-admin.js';
import { PulsarError } from '../pulsar.errors.js';

/** How a subscription shares its messages among consumers. */
export type SubscriptionType = 'Exclusive' | 'Failover' | 'Shared' | 'Key_Shared';

/** Where a new subscription begins. */
export type InitialPosition = 'earliest' | 'latest';

/** A message's place in its topic. Opaque: hand it back to the consumer that gave it; the text is for logs and storage. */
export interface MessageId {
  toString(): string;
}

/** A message on its way out. */
export interface OutgoingMessage {
  readonly payload: Uint8Array;
  /** `true`: no payload at all, which says "this key is gone"; {@link payload} must be empty then. Needs the capability `tombstones`. */
  readonly tombstone?: boolean;
  /** Decides partition and order: messages of one key stay in the order in which they were sent. */
  readonly key?: string;
  readonly orderingKey?: string;
  readonly properties?: Readonly<Record<string, string>>;
  /** Milliseconds since the Unix epoch, chosen by the application. */
  readonly eventTimeMs?: number;
  /** Not delivered before this wall time (milliseconds since the Unix epoch). Shared and Key_Shared only. */
  readonly deliverAtMs?: number;
  /** Rising per producer name: a broker with deduplication stores each at most once. */
  readonly sequenceId?: bigint;
}

/** A message as received. */
export interface IncomingMessage {
  readonly id: MessageId;
  /** The full topic name. */
  readonly topic: string;
  /** Empty for a tombstone. May lie in a buffer of the transport and keep it alive: copy what is kept for long. */
  readonly payload: Uint8Array;
  /** `true`: it has no payload at all; not the same as an empty one. */
  readonly tombstone: boolean;
  readonly key: string | undefined;
  readonly orderingKey: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly publishTimeMs: number;
  readonly eventTimeMs: number | undefined;
  /** How often it was delivered before on this subscription; 0 at first. */
  readonly redeliveryCount: number;
  readonly producerName: string;
  readonly sequenceId: bigint;
}

/** How a producer sends. Defaults are the pool's (`ProducerDefaults`). */
export interface TransportProducerOptions {
  /** Full topic name, `persistent://tenant/namespace/topic`. */
  readonly topic: string;
  readonly producerName?: string;
  readonly batching: {
    readonly enabled: boolean;
    readonly maxMessages: number;
    readonly maxBytes: number;
    readonly maxDelayMs: number;
    /**
     * Where messages of different keys may share a batch, `mixed`: all keep the order of the calls then, and Key_Shared cannot spread them.
     * `by-key` is for transports of the capability `keyedBatching` alone. Default `by-key` there, else `mixed`.
     */
    readonly keyed?: 'by-key' | 'mixed';
  };
  /** Sends that wait for the broker's acknowledgement; further ones wait in `send`. */
  readonly maxPendingMessages: number;
  /** Payload bytes of those; further ones wait, one larger message goes alone. */
  readonly maxPendingBytes: number;
  readonly compression: 'none' | 'lz4' | 'zlib' | 'zstd' | 'snappy';
  /** A send that the broker has not acknowledged by then is rejected (`timeout`, ambiguous). 0 = never. */
  readonly sendTimeoutMs: number;
}

/** Hears of one message, once, by one of the two; of a refusal perhaps inside the call that sends. It must not throw, nor send from inside `onFailed`. */
export interface SendListener {
  /** The broker has stored it. */
  onStored(id: MessageId): void;
  onFailed(error: PulsarError): void;
}

/** One producer on one topic. Sends of one producer are stored in the order of the calls. */
export interface TransportProducer {
  readonly topic: string;
  /** Sends called and not yet settled. */
  readonly pending: number;
  /**
   * Resolves when the broker has stored the message. Waits, never rejects, at the pending limit; `signal` ends that wait
   * and nothing else.
   */
  send(message: OutgoingMessage, signal?: AbortSignal): Promise<MessageId>;
  /** As {@link send}, for those who keep a record of each message anyway: it costs no promise. Default: by `send`. */
  sendTo?(listener: SendListener, message: OutgoingMessage, signal?: AbortSignal): void;
  /** Sends what lingers and resolves when everything sent before is settled. */
  flush(): Promise<void>;
  /** Flushes, then closes. Idempotent. */
  close(): Promise<void>;
}

/** What to subscribe to. */
export interface TransportSubscribeOptions {
  /** Full topic name. */
  readonly topic: string;
  readonly subscription: string;
  readonly type: SubscriptionType;
  readonly initialPosition: InitialPosition;
  /** `false`: the cursor lives as long as this consumer. */
  readonly durable: boolean;
  readonly consumerName?: string;
  /**
   * How many messages will be permitted at once: for transports whose broker's side has to read ahead of the permits (no `exactPermits`), a hint how far.
   * Default: unknown, as little as they can.
   */
  readonly expectedPermits?: number;
}

/** What a consumer hears. Calls never overlap and never wait: the consumer's own permits bound them. */
export interface TransportConsumerListener {
  onMessage(message: IncomingMessage): void;
  /** The consumer is gone and will not come back by itself (topic deleted, fenced, transport closed). */
  onClosed(error: Error): void;
}

/** One consumer on one subscription. */
export interface TransportConsumer {
  readonly topic: string;
  readonly subscription: string;
  /** Allows `count` more messages; nothing is delivered without permits. Acknowledging gives none back. */
  permit(count: number): void;
  /**
   * Resolves when the subscription's cursor has it: the message will not come again. Where the transport has no receipts
   * (capability `ackReceipts`), when it has left this process.
   */
  ack(id: MessageId): Promise<void>;
  /** As {@link ack}, for this message and all before it. Exclusive and Failover only, and only with the capability `cumulativeAck`. */
  ackCumulative(id: MessageId): Promise<void>;
  /** Gives the message back; it comes again no sooner than `delayMs` from now, with a higher redelivery count. */
  nack(id: MessageId, delayMs: number): void;
  /** Resolves when acknowledgements on the way are settled. Unacknowledged messages go to other consumers. Idempotent. */
  close(): Promise<void>;
  /**
   * Deletes the subscription with its cursor, then closes.
   *
   * @throws PulsarError when it cannot be deleted: then the consumer is still to be closed.
   */
  unsubscribe(): Promise<void>;
}

/** What a transport can do; a configuration that needs more is refused at start. */
export interface TransportCapabilities {
  readonly subscriptionTypes: readonly SubscriptionType[];
  readonly delayedDelivery: boolean;
  readonly nackDelay: boolean;
  readonly batching: boolean;
  readonly compression: readonly TransportProducerOptions['compression'][];
  /** A broker with deduplication stores each `sequenceId` of a named producer once. */
  readonly deduplication: boolean;
  readonly nonDurable: boolean;
  /** Acknowledges a message and all before it at once. */
  readonly cumulativeAck: boolean;
  /** `ack` resolves by the broker's own answer. */
  readonly ackReceipts: boolean;
  /** Messages that have no payload at all. */
  readonly tombstones: boolean;
  /** Keeps `orderingKey`. */
  readonly orderingKeys: boolean;
  /** Messages of one key stay together in a batch, so that Key_Shared spreads batched messages by their key. */
  readonly keyedBatching: boolean;
  /** What is not permitted stays with the broker, for other consumers: nothing is read ahead. */
  readonly exactPermits: boolean;
  /** `sendTimeoutMs: 0` waits for as long as it takes. */
  readonly endlessSends: boolean;
  /** The topics of a namespace can be listed. */
  readonly topicLists: boolean;
  /** Received messages tell `producerName` and `sequenceId`; elsewhere they are `''` and −1. */
  readonly producerIdentity: boolean;
  /** Largest payload in bytes. */
  readonly maxPayloadBytes: number;
}

/**
 * The way to a broker, as a port.
 *
 * An implementer guarantees: a resolved `send` is stored (at least once); messages of one key keep their order from one
 * producer to one consumer; `subscribe` resolves only when the subscription exists, so nothing published afterwards is missed;
 * a message is redelivered until it is acknowledged; every rejection is a `PulsarError` with a stable code.
 */
export abstract class PulsarTransport {
  /** The adapter's name: `in-process`, `wire`, `native`, `websocket`. */
  abstract readonly name: string;
  /** The log outlives this process. */
  abstract readonly durable: boolean;
  /** Other processes see the same log. */
  abstract readonly shared: boolean;
  /**
   * Names the log that a stored message is in: constant for a durable broker, random per in-process broker. A checkpoint keeps
   * it; another one at start means that the log begins anew.
   */
  abstract readonly brokerInstance: string;
  abstract readonly capabilities: TransportCapabilities;

  /** The broker's administration, where the transport itself has it. Default: none. */
  get admin(): BrokerAdmin | undefined {
    return undefined;
  }

  /**
   * The full names of a namespace's topics, a partitioned one once.
   *
   * @param namespace `tenant/namespace`.
   * @throws PulsarError of code `SMARTPULSE_PULSAR_UNSUPPORTED` without the capability `topicLists`.
   */
  async listTopics(namespace: string): Promise<readonly string[]> {
    throw new PulsarError('SMARTPULSE_PULSAR_UNSUPPORTED', `The ${this.name} transport cannot list ${namespace}.`, {
      kind: 'permanent',
      remedy: 'Set adminUrl of PulsarModule.forRoot, or use pulsar://.',
    });
  }

  /** Makes the connection, or fails within the connect timeout. */
  abstract connect(): Promise<void>;
  abstract createProducer(options: TransportProducerOptions): Promise<TransportProducer>;
  abstract subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer>;
  /** Closes every producer (flushed) and consumer, then the connection. Idempotent. */
  abstract close(): Promise<void>;
}
