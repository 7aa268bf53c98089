import type { IncomingMessage } from '../transport/pulsar.transport.js';
import { WebSocketMessageId } from './websocket.message-id.js';

interface ReceivedFrame {
  readonly messageId: string;
  readonly payload?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly publishTime?: string;
  readonly eventTime?: string;
  readonly redeliveryCount?: number;
  readonly key?: string;
}

/** Reads a frame of a consumer; `undefined` for one that carries no message. */
export function readMessage(topic: string, text: string): IncomingMessage | undefined {
  const frame = parse(text);
  if (typeof frame?.messageId !== 'string') {
    return undefined;
  }
  return {
    id: new WebSocketMessageId(topic, frame.messageId),
    topic,
    payload: Buffer.from(frame.payload ?? '', 'base64'),
    tombstone: false,
    key: frame.key,
    orderingKey: undefined,
    properties: frame.properties ?? {},
    // Fractions come without their trailing zeros; the parser takes them all.
    publishTimeMs: timeOf(frame.publishTime) ?? 0,
    eventTimeMs: timeOf(frame.eventTime),
    redeliveryCount: frame.redeliveryCount ?? 0,
    producerName: '',
    sequenceId: -1n,
  };
}

function parse(text: string): Partial<ReceivedFrame> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
