import type { IncomingMessage, MessageId, OutgoingMessage } from '../transport/pulsar.transport.js';

/** A place in a topic's log; unique per broker object because the text names it. */
export class InProcessMessageId implements MessageId {
  constructor(
    readonly instance: string,
    readonly position: number,
  ) {}

  toString(): string {
    return `${this.instance}:${this.position}`;
  }
}

/** A message as the log keeps it, which is also what a consumer gets at the first delivery. Content was copied when it came in. */
export class StoredMessage implements IncomingMessage {
  readonly payload: Uint8Array;
  readonly tombstone: boolean;
  readonly key: string | undefined;
  readonly orderingKey: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly eventTimeMs: number | undefined;
  readonly deliverAtMs: number | undefined;
  readonly redeliveryCount = 0;
  /** What it counts towards the log's bytes. */
  readonly bytes: number;

  constructor(
    readonly id: InProcessMessageId,
    readonly topic: string,
    message: OutgoingMessage,
    readonly producerName: string,
    readonly sequenceId: bigint,
    readonly publishTimeMs: number,
    bytes: number,
  ) {
    this.payload = message.payload;
    this.tombstone = message.tombstone ?? false;
    this.key = message.key;
    this.orderingKey = message.orderingKey;
    this.properties = message.properties ?? NO_PROPERTIES;
    this.eventTimeMs = message.eventTimeMs;
    this.deliverAtMs = message.deliverAtMs;
    this.bytes = bytes;
  }

  get position(): number {
    return this.id.position;
  }

  /** What Key_Shared orders by. */
  get lane(): string | undefined {
    return this.orderingKey ?? this.key;
  }

  /** The message as it comes the second time and later. */
  redelivered(redeliveryCount: number): IncomingMessage {
    const {
      id,
      topic,
      payload,
      tombstone,
      key,
      orderingKey,
      properties,
      publishTimeMs,
      eventTimeMs,
      producerName,
      sequenceId,
    } = this;
    return {
      id,
      topic,
      payload,
      tombstone,
      key,
      orderingKey,
      properties,
      publishTimeMs,
      eventTimeMs,
      producerName,
      sequenceId,
      redeliveryCount,
    };
  }
}

const NO_PROPERTIES: Readonly<Record<string, string>> = Object.freeze({});

/** Payload, keys and properties in bytes or, for text, UTF-16 units: near enough for a bound. */
export function sizeOf(message: OutgoingMessage): number {
  let size = message.payload.byteLength + (message.key?.length ?? 0) + (message.orderingKey?.length ?? 0);
  for (const name in message.properties) {
    size += name.length + (message.properties[name]?.length ?? 0);
  }
  return size;
}

/** A copy that its sender can no longer change. */
export function ownCopy(message: OutgoingMessage): OutgoingMessage {
  // Small ones share a slab of memory: an array buffer for each costs more than everything else about a message.
  const payload = Buffer.from(message.payload);
  return message.properties === undefined
    ? { ...message, payload }
    : { ...message, payload, properties: Object.freeze({ ...message.properties }) };
}
