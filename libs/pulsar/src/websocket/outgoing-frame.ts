import { PulsarError } from '../pulsar.errors.js';
import { brokerFailure, tooLarge, unsupported } from '../transport/broker-failure.js';
import type { OutgoingMessage } from '../transport/pulsar.transport.js';

/** The broker's limit on a whole text frame (`webSocketMaxTextFrameSize`, default); a larger one ends the connection. */
const MAX_FRAME_BYTES = 1_048_576;
/** What stands around a payload without key and properties: names, context, event time, delivery time. */
const ENVELOPE_BYTES = 256;
const CONTEXT_BYTES = 40;

/** A payload of so many bytes fits into a frame, written as base64. */
export const MAX_PAYLOAD_BYTES = Math.floor((MAX_FRAME_BYTES - ENVELOPE_BYTES) / 4) * 3;

/**
 * The frame of a message up to its context. Everything is checked before: what the broker cannot read it answers without saying which
 * message it means, or by ending the connection with all sends on it.
 *
 * @throws PulsarError when the message cannot be sent this way.
 */
export function encodeFrame(topic: string, message: OutgoingMessage): string {
  const { payload } = message;
  const lacking =
    (message.tombstone === true && 'tombstones') ||
    (message.orderingKey !== undefined && 'ordering keys') ||
    (message.sequenceId !== undefined && 'sequence ids of single messages');
  if (lacking !== false) {
    throw unsupported('websocket', lacking, topic);
  }
  if (payload.byteLength > MAX_PAYLOAD_BYTES) {
    throw tooLarge(topic, payload.byteLength, MAX_PAYLOAD_BYTES);
  }
  const base64 = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64');
  const { key, properties, eventTimeMs, deliverAtMs } = message;
  if (key === undefined && properties === undefined && eventTimeMs === undefined && deliverAtMs === undefined) {
    // It fits: the payload does.
    return `{"payload":"${base64}"`;
  }
  const more = JSON.stringify({
    key,
    properties: properties === undefined ? undefined : stringsOf(properties),
    eventTime: eventTimeMs === undefined ? undefined : isoTime(topic, eventTimeMs),
    deliverAt: deliverAtMs === undefined ? undefined : Math.ceil(deliverAtMs),
  });
  const frame = more === '{}' ? `{"payload":"${base64}"` : `{"payload":"${base64}",${more.slice(1, -1)}`;
  const frameBytes = Buffer.byteLength(frame) + CONTEXT_BYTES;
  if (frameBytes > MAX_FRAME_BYTES) {
    throw new PulsarError(
      'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE',
      `A message for ${topic} makes a frame of ${frameBytes} bytes, above ${MAX_FRAME_BYTES}: its payload is ${payload.byteLength} bytes.`,
      { kind: 'permanent', remedy: 'Send a reference to the content, or fewer properties.', topic },
    );
  }
  return frame;
}

/** The whole frame: the context comes back with the broker's answer. */
export function withContext(frame: string, context: string): string {
  return `${frame},"context":"${context}"}`;
}

/** A property that is null, as untyped callers may pass it, would end the connection. */
function stringsOf(properties: Readonly<Record<string, string | null | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function isoTime(topic: string, ms: number): string {
  const time = new Date(ms);
  if (Number.isNaN(time.getTime())) {
    throw brokerFailure('SMARTPULSE_PULSAR_NOT_ALLOWED', `The event time of a message for ${topic} is no time.`, {
      topic,
    });
  }
  return time.toISOString();
}
