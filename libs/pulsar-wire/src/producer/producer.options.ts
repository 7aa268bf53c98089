import type { DeclaredSchema } from '../client/declared-schema.js';
import type { WireError } from '../pulsar-wire.errors.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import type { CompressionName } from '../protocol/compression/compression.js';
import type { KeyHashName } from '../protocol/routing/key-hash.js';

/** Who else may produce to the topic. */
export type WireAccessMode = 'shared' | 'exclusive' | 'waitForExclusive' | 'exclusiveWithFencing';

/** How messages are put together. */
export interface BatchingOptions {
  /** Default `true`. */
  readonly enabled?: boolean | undefined;
  /** A batch of so many messages is sent at once. Default 100. */
  readonly maxMessages?: number | undefined;
  /** A batch is never larger, in bytes before compression; a single larger message is a batch of its own. Default 131,072. */
  readonly maxBytes?: number | undefined;
  /** The longest that a message waits for others, in milliseconds; 0 = until the end of the turn of the event loop. Default 100. */
  readonly maxDelayMs?: number | undefined;
  /**
   * What is done with messages that have a key. Default `by-key`, which is right for every subscription.
   */
  readonly keyed?: KeyedBatching | undefined;
}

/**
 * How messages with a key are put together: a broker distributes whole entries, by the key of the entry. `by-key`: a batch for each key.
 * `single`: no batch. `mixed`: one batch for all, in the order of the calls and under the key of its first message, as the Java client's
 * default; much cheaper with many keys, and wrong where `Key_Shared` reads the topic.
 */
export type KeyedBatching = 'by-key' | 'mixed' | 'single';

/** How a producer sends. */
export interface ProducerOptions {
  /** `topic`, `tenant/namespace/topic` or `persistent://tenant/namespace/topic`. */
  readonly topic: string;
  /** Stable names are for deduplication; only one producer on a topic may have it. Default: the broker makes one. */
  readonly producerName?: string | undefined;
  readonly batching?: BatchingOptions | undefined;
  /** Sends that are not settled; further ones wait in `send`. Over all partitions. Default 500. */
  readonly maxPendingMessages?: number | undefined;
  /** The payload bytes of those; one larger message is let through alone. Default 67,108,864. */
  readonly maxPendingBytes?: number | undefined;
  /** Default `none`. */
  readonly compression?: CompressionName | undefined;
  /**
   * A message that is not acknowledged so many milliseconds after it was accepted is rejected, and with it all that wait behind it: it may be stored.
   * 0 = never, for deduplication. Default 30,000.
   */
  readonly sendTimeoutMs?: number | undefined;
  /** Default `shared`. With `waitForExclusive` the creation waits as long as it takes. */
  readonly accessMode?: WireAccessMode | undefined;
  /** Registered or compared when the producer is created; messages carry its version. Default: none. */
  readonly schema?: DeclaredSchema | undefined;
  /** Shown in the broker's statistics. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** How a key chooses a partition: all producers of a topic must agree. Default `java-string`, that of the Java client. */
  readonly keyHash?: KeyHashName | undefined;
}

/** Defaults of {@link ProducerOptions}. */
export const WIRE_PRODUCER_DEFAULTS = Object.freeze({
  batching: Object.freeze({
    enabled: true,
    maxMessages: 100,
    maxBytes: 131_072,
    maxDelayMs: 100,
    keyed: 'by-key' as const,
  }),
  maxPendingMessages: 500,
  maxPendingBytes: 64 * 1024 * 1024,
  sendTimeoutMs: 30_000,
});

/** A message on its way out. */
export interface WireMessage {
  /** `null`: a tombstone. Copied before `send` returns, or when the wait for room is over. */
  readonly payload: Uint8Array | null;
  readonly key?: string | undefined;
  readonly orderingKey?: Uint8Array | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds since 1970, chosen by the application. */
  readonly eventTimeMs?: number | undefined;
  /** Not delivered before this wall time. Shared and Key_Shared only; never batched. */
  readonly deliverAtMs?: number | undefined;
  /** For deduplication; rising per producer name. Default: counted on from the last one that the broker knows. */
  readonly sequenceId?: bigint | undefined;
}

/** Hears of one message, once, by one of the two; of a refusal perhaps inside the call that sends. It must not throw, nor send from inside `onFailed`. */
export interface SendListener {
  /** The broker has stored it. */
  onStored(id: MessageId): void;
  /** {@link WireError}; `ambiguous` where it may be stored all the same. */
  onFailed(cause: WireError): void;
}

/** A producer on one topic. */
export interface WireProducer {
  /** The full topic name. */
  readonly topic: string;
  /** The given name, or the one that the broker made. */
  readonly name: string;
  /** Sends accepted and not settled; those that wait for room are not counted. */
  readonly pending: number;
  /** The sequence id of the last message that is stored for this name; −1 = none is known. */
  readonly lastSequenceId: bigint;
  /**
   * Resolves when the broker has stored the message; ledger −1 says that it was dropped as a duplicate. Waits for room at the pending
   * limits; `signal` ends that wait and nothing else.
   *
   * @throws {@link WireError}; `ambiguous` where the message may be stored all the same.
   */
  send(message: WireMessage, signal?: AbortSignal): Promise<MessageId>;
  /** As {@link send}, for those who keep a record of each message anyway: it costs no promise. */
  sendTo(listener: SendListener, message: WireMessage, signal?: AbortSignal): void;
  /** Sends what waits for company, and resolves when everything that was sent before is settled. */
  flush(): Promise<void>;
  /** Refuses further sends, flushes, then closes. Idempotent. */
  close(): Promise<void>;
}
