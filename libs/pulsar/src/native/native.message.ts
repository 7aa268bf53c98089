import type { IncomingMessage, MessageId, OutgoingMessage } from '../transport/pulsar.transport.js';
import type { NativeId, NativeMessage } from './native.client.js';

/** The id of a message that a native consumer handed out. */
export class NativeMessageId implements MessageId {
  /** The same for every delivery of a message: ledger, entry, partition and place in the batch. */
  readonly text: string;

  constructor(readonly native: NativeId) {
    this.text = native.toString();
  }

  toString(): string {
    return this.text;
  }
}

/** The client says "absent" with an empty text or 0, and answers the properties as an array with named keys. */
export function incomingMessage(message: NativeMessage): IncomingMessage & { readonly id: NativeMessageId } {
  const eventTimeMs = message.getEventTimestamp();
  return {
    id: new NativeMessageId(message.getMessageId()),
    topic: message.getTopicName(),
    payload: message.getData(),
    tombstone: false,
    key: message.getPartitionKey() || undefined,
    orderingKey: message.getOrderingKey() || undefined,
    properties: Object.fromEntries(
      Object.entries(message.getProperties()).map(([name, value]) => [name, String(value)]),
    ),
    publishTimeMs: message.getPublishTimestamp(),
    eventTimeMs: eventTimeMs === 0 ? undefined : eventTimeMs,
    redeliveryCount: message.getRedeliveryCount(),
    producerName: message.getProducerName(),
    sequenceId: -1n,
  };
}

/** Names that the array of the properties has a meaning of its own for: there they are lost, or cannot be read at all. */
const TAKEN_NAMES: ReadonlySet<string> = new Set(['length', '__proto__']);

/** What of a message would not arrive as it is, for a sentence; undefined where all would. The client cuts texts off at a NUL, in silence. */
export function lostOnTheWay(message: OutgoingMessage): string | undefined {
  const { key = '', orderingKey = '', properties = {} } = message;
  const names = Object.keys(properties);
  const taken = names.find((name) => TAKEN_NAMES.has(name));
  if (taken !== undefined) {
    return `property of the name "${taken}"`;
  }
  const texts = [key, orderingKey, ...names, ...Object.values(properties)];
  return texts.some((text) => text.includes('\0')) ? 'key or property with a NUL character' : undefined;
}
