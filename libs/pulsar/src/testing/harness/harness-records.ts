import type { PulsarCodec } from '../../codec/pulsar-codec.js';
import type { IncomingMessage, OutgoingMessage } from '../../transport/pulsar.transport.js';

/** A message as the broker stored it. */
export interface StoredRecord {
  readonly topic: string;
  readonly messageId: string;
  readonly message: Pick<
    OutgoingMessage,
    'payload' | 'tombstone' | 'key' | 'orderingKey' | 'properties' | 'eventTimeMs' | 'deliverAtMs'
  >;
}

/** A message that a consumer was given and has neither acknowledged nor given back. */
export interface OutstandingMessage {
  readonly topic: string;
  readonly subscription: string;
  readonly message: IncomingMessage;
}

/** Records of a kind that are kept. */
const MAX_RECORDS = 100_000;

/** A list with an end: what it says beyond would be wrong, so it says nothing. */
class BoundedRecord {
  readonly #what: string;
  readonly #items: StoredRecord[] = [];
  #lost = 0;

  constructor(what: string) {
    this.#what = what;
  }

  add(record: StoredRecord): void {
    if (this.#items.length >= MAX_RECORDS) {
      this.#lost++;
    } else {
      this.#items.push(record);
    }
  }

  get count(): number {
    return this.#items.length + this.#lost;
  }

  all(): readonly StoredRecord[] {
    if (this.#lost > 0) {
      throw new RangeError(
        `${this.count} messages were ${this.#what}, and a harness keeps ${MAX_RECORDS}: count in the handlers instead.`,
      );
    }
    return this.#items;
  }
}

/** What passed between an app and its broker. */
export class HarnessRecords {
  readonly #published = new BoundedRecord('published');
  readonly #acknowledged = new Map<string, BoundedRecord>();
  /** As many as the consumers' permits allow. */
  readonly #outstanding = new Set<OutstandingMessage>();
  #delivered = 0;
  #settled = 0;

  /** Messages that consumers have now. */
  get outstanding(): readonly OutstandingMessage[] {
    return [...this.#outstanding];
  }

  /** Another text whenever anything has passed. */
  get signature(): string {
    return [this.#published.count, this.#delivered, this.#settled].join();
  }

  published(): readonly StoredRecord[] {
    return this.#published.all();
  }

  acknowledged(topic: string, subscription: string): readonly StoredRecord[] {
    return this.#acknowledged.get(`${topic}\n${subscription}`)?.all() ?? [];
  }

  onStored(topic: string, messageId: string, message: OutgoingMessage): void {
    this.#published.add({ topic, messageId, message });
  }

  onDelivered(topic: string, subscription: string, message: IncomingMessage): OutstandingMessage {
    const outstanding = { topic, subscription, message };
    this.#outstanding.add(outstanding);
    this.#delivered++;
    return outstanding;
  }

  onAcknowledged(outstanding: OutstandingMessage): void {
    const { topic, subscription, message } = outstanding;
    const name = `${topic}\n${subscription}`;
    const record = this.#acknowledged.get(name) ?? new BoundedRecord(`acknowledged by ${subscription} on ${topic}`);
    this.#acknowledged.set(name, record);
    record.add({ topic, messageId: message.id.toString(), message: asStored(message) });
    this.onReturned(outstanding);
  }

  onReturned(outstanding: OutstandingMessage): void {
    this.#outstanding.delete(outstanding);
    this.#settled++;
  }
}

function asStored({ payload, tombstone, key, orderingKey, properties, eventTimeMs }: IncomingMessage) {
  return {
    payload,
    tombstone,
    properties,
    ...(key === undefined ? {} : { key }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
  };
}

/** A message that passed between the app and its broker. */
export class RecordedMessage<T = unknown> {
  readonly #record: StoredRecord;
  readonly #codec: PulsarCodec<T>;

  /** @internal */
  constructor(record: StoredRecord, codec: PulsarCodec<T>) {
    this.#record = record;
    this.#codec = codec;
  }

  /** The full topic name. */
  get topic(): string {
    return this.#record.topic;
  }

  get messageId(): string {
    return this.#record.messageId;
  }

  get payload(): Uint8Array {
    return this.#record.message.payload;
  }

  /**
   * The payload, decoded by the contract's codec, else as JSON.
   *
   * @throws what the codec throws on what it cannot read.
   */
  get data(): T {
    return this.#codec.decode(this.#record.message.payload);
  }

  get tombstone(): boolean {
    return this.#record.message.tombstone === true;
  }

  get key(): string | undefined {
    return this.#record.message.key;
  }

  get orderingKey(): string | undefined {
    return this.#record.message.orderingKey;
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#record.message.properties ?? {};
  }

  /** Milliseconds since the Unix epoch, chosen by the publisher. */
  get eventTimeMs(): number | undefined {
    return this.#record.message.eventTimeMs;
  }

  /** Not delivered before, milliseconds since the Unix epoch; known of published messages only. */
  get deliverAtMs(): number | undefined {
    return this.#record.message.deliverAtMs;
  }
}

/** A message that a consumer gave up. */
export class RecordedDeadLetter<T = unknown> extends RecordedMessage<T> {
  /** `failed`, `invalid`, `nacked` or `requested`. */
  get reason(): string {
    return this.properties['x-reason'] ?? '';
  }

  /** The last error's name and message. */
  get error(): { readonly name: string; readonly message: string } {
    return {
      name: this.properties['x-exception-type'] ?? '',
      message: this.properties['x-exception-message'] ?? '',
    };
  }

  /** Handler runs that failed. */
  get attempts(): number {
    return Number(this.properties['x-attempts'] ?? 0);
  }

  /** The message's own topic, full name. */
  get originalTopic(): string {
    return this.properties['x-original-topic'] ?? '';
  }

  get originalMessageId(): string {
    return this.properties['x-original-message-id'] ?? '';
  }

  get subscription(): string {
    return this.properties['x-original-subscription'] ?? '';
  }
}
