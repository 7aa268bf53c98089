import type { DeclaredSchema } from '../client/declared-schema.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import type { SeekTarget } from './cursor-place.js';
import type { HandedOutId } from './handed-out-id.js';
import type { ReceivedMessage } from './received-message.js';

/** How a subscription shares its messages among consumers. */
export type WireSubscriptionType = 'Exclusive' | 'Failover' | 'Shared' | 'Key_Shared';

/** What to subscribe to, and how. */
export interface ConsumerOptions {
  /** `topic`, `tenant/namespace/topic` or `persistent://tenant/namespace/topic`. */
  readonly topic: string;
  readonly subscription: string;
  /** Default `Exclusive`, as in the official clients. */
  readonly type?: WireSubscriptionType | undefined;
  /** Where a new subscription begins. Default `latest`. */
  readonly initialPosition?: 'earliest' | 'latest' | undefined;
  /** `false`: the cursor lives as long as this consumer; it goes on behind the last message handed out after a reconnect. Default `true`. */
  readonly durable?: boolean | undefined;
  /** With `durable: false`: begin behind this message, instead of at `initialPosition`. */
  readonly startMessageId?: MessageId | undefined;
  /** With `durable: false`: begin with what was published at this time (milliseconds since 1970) or later, instead of at `initialPosition`. */
  readonly startPublishTimeMs?: number | undefined;
  /**
   * Payload bytes of messages that are on the way or in the application's hands: permits beyond them are kept back from the broker, which counts messages,
   * by what messages weighed of late. A permit stands for a message that the application is done with. One message is let through in any case, and the
   * broker sends whole batches. Default: the number of permits alone counts.
   */
  readonly prefetchBytes?: number | undefined;
  /** Shown in the broker's statistics. Default: the broker makes one. */
  readonly consumerName?: string | undefined;
  /** Compared with the topic's when the consumer is created. Default: none. */
  readonly schema?: DeclaredSchema | undefined;
  /** Shown in the broker's statistics. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /**
   * Tell the broker which messages of a batch are acknowledged, so that only the others come again. Brokers that cannot keep it ignore
   * it. `false`: the acknowledgement of a batch is sent with that of its last message; earlier ones resolve at once. Default `true`.
   */
  readonly batchIndexAck?: boolean | undefined;
  /**
   * A message that is neither acknowledged nor given back so many milliseconds after it was handed out is given back by itself, up to a tenth
   * later. At least 1,000, as in the Java client; 0 = never. On Exclusive and Failover everything unacknowledged comes again with it.
   * Default 0.
   */
  readonly ackTimeoutMs?: number | undefined;
  /** The delay of a `nack` that names none, by how often the message was delivered before. Default: none, it comes at once. */
  readonly nackBackoff?: NackBackoff | undefined;
  /**
   * `view`: payloads lie in the buffer that came from the socket and keep it alive, 512 KiB or a frame. `copy`: for applications that
   * keep messages for long. `lent`: a message (payload, key, properties) is to be read before it is acknowledged, by whatever delivery of it; then its
   * memory is filled with what comes next, which spares the garbage collector most of its work at high rates. Default `view`.
   */
  readonly payloads?: 'view' | 'copy' | 'lent' | undefined;
}

/** Delays of messages that are given back: `initialMs` at the first time, times `multiplier` at each further one, `maxMs` at most. */
export interface NackBackoff {
  /** Milliseconds. */
  readonly initialMs: number;
  /** Milliseconds. */
  readonly maxMs: number;
  /** Default 2. */
  readonly multiplier?: number | undefined;
}

/** What a consumer hears. Calls never overlap. */
export interface ConsumerListener {
  /** One message; must not throw. What is thrown is reported as an event, and the message comes again. */
  onMessage(message: ReceivedMessage): void;
  /** The consumer is gone and will not come back by itself. Not called by `close()` and `unsubscribe()`. */
  onClosed(error: Error): void;
  /** The topic is terminated and everything on it was delivered; may come more than once. */
  onEndOfTopic?(): void;
  /** Failover only: whether this consumer is the one that receives. */
  onActiveChange?(isActive: boolean): void;
}

/** A consumer on one subscription. */
export interface WireConsumer {
  /** The full topic name. */
  readonly topic: string;
  readonly subscription: string;
  /** Allows `count` more messages; nothing is handed out without permits, and acknowledging gives none back. */
  permit(count: number): void;
  /**
   * Resolves when the broker has it. Over a lost connection it waits and is sent again.
   *
   * @throws {@link WireError}
   */
  ack(id: HandedOutId): Promise<void>;
  /**
   * As {@link ack}, for this message and all before it (of its partition).
   *
   * @throws {@link UnsupportedOperationError} on Shared and Key_Shared: the broker would answer success and ignore it.
   */
  ackCumulative(id: HandedOutId): Promise<void>;
  /**
   * Gives the message back; it comes again no sooner than `delayMs` milliseconds from now, by default those of `nackBackoff`. On Exclusive and Failover everything that is
   * not acknowledged comes again with it, in order. After a lost connection everything comes at once.
   */
  nack(id: HandedOutId, delayMs?: number): void;
  /** Asks for everything that is not acknowledged, now. */
  redeliverUnacknowledged(): void;
  /**
   * Moves the subscription behind a message, or to what was published at a time (milliseconds since 1970).
   *
   * @throws {@link WireError}; {@link ConnectionError} while a lost connection is made anew. Of a topic with partitions each is told, and
   *   {@link SeekIncompleteError} names those that were not moved.
   */
  seek(target: SeekTarget): Promise<void>;
  /**
   * The place of the last message of the topic, or of each of its partitions by their numbers; entry −1 = there is none. Over a lost connection it is
   * asked for again.
   *
   * @throws {@link RequestTimeoutError} when there is no answer within `operationTimeoutMs`; {@link WireError}
   */
  lastMessageIds(): Promise<readonly MessageId[]>;
  /** Sends what is to be acknowledged, waits for its receipts and closes. Idempotent. */
  close(): Promise<void>;
  /**
   * Deletes the subscription with its cursor, then closes.
   *
   * @throws {@link WireError}: the consumer goes on as before, and may be asked again; it is closed only where some of several partitions are deleted.
   */
  unsubscribe(): Promise<void>;
}
