import type { IncomingMessage, MessageId } from '../transport/pulsar.transport.js';
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
