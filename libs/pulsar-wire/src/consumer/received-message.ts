import type { MessageMetadata, SingleMessageMetadata } from '../protocol/metadata/metadata.tables.js';
import type { BatchedMessage } from '../protocol/batch/batch-reader.js';
import type { HandedOutId } from './handed-out-id.js';

/** A message as received. What it says is read from the metadata when it is asked for. */
export class ReceivedMessage {
  readonly #entry: MessageMetadata;
  readonly #single: BatchedMessage | undefined;

  constructor(
    readonly id: HandedOutId,
    /** The full topic name; that of the partition on a partitioned topic. */
    readonly topic: string,
    /** Empty for a tombstone, see {@link isTombstone}. */
    readonly payload: Uint8Array,
    /** How often its entry was delivered before on this subscription; the broker forgets it at a restart. */
    readonly redeliveryCount: number,
    entry: MessageMetadata,
    single: BatchedMessage | undefined,
  ) {
    this.#entry = entry;
    this.#single = single;
  }

  /** Its key as a text; undefined when it has none. */
  get key(): string | undefined {
    if (this.#single?.isPlainlyKeyed === true) {
      return this.#single.plainKey;
    }
    const { partitionKey, partitionKeyB64Encoded, nullPartitionKey } = this.#own;
    if (nullPartitionKey === true || partitionKey === undefined) {
      return undefined;
    }
    return partitionKeyB64Encoded === true ? Buffer.from(partitionKey, 'base64').toString('utf8') : partitionKey;
  }

  get orderingKey(): Uint8Array | undefined {
    return this.#single?.isPlainlyKeyed === true ? undefined : this.#own.orderingKey;
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#own.properties;
  }

  /** Milliseconds since 1970, by the producer's clock. */
  get publishTimeMs(): number {
    return this.#entry.publishTimeMs;
  }

  /** Milliseconds since 1970, chosen by the application. */
  get eventTimeMs(): number | undefined {
    const time = this.#own.eventTimeMs;
    return time === 0 ? undefined : time;
  }

  /** Of the schema that its producer declared; the broker knows what it stands for. */
  get schemaVersion(): Uint8Array | undefined {
    return this.#entry.schemaVersion;
  }

  get producerName(): string {
    return this.#entry.producerName;
  }

  get sequenceId(): bigint {
    const single = this.#single;
    // Messages of a batch need not carry their own: they count on from that of the first.
    return single === undefined
      ? this.#entry.sequenceId
      : (single.metadata.sequenceId ?? this.#entry.sequenceId + BigInt(single.index));
  }

  /** It has no payload at all, which says "this key is gone"; not the same as an empty one. */
  get isTombstone(): boolean {
    return this.#single?.isTombstone ?? this.#entry.nullValue ?? false;
  }

  get #own(): MessageMetadata | SingleMessageMetadata {
    return this.#single?.metadata ?? this.#entry;
  }
}
