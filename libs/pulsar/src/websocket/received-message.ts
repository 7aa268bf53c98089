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
  return new ReceivedMessage(topic, frame.messageId, frame);
}

class ReceivedMessage implements IncomingMessage {
  readonly #frame: Partial<ReceivedFrame>;
  readonly id: WebSocketMessageId;
  readonly payload: Uint8Array;
  readonly tombstone = false;
  readonly orderingKey = undefined;
  readonly producerName = '';
  readonly sequenceId = -1n;

  constructor(
    readonly topic: string,
    messageId: string,
    frame: Partial<ReceivedFrame>,
  ) {
    this.id = new WebSocketMessageId(topic, messageId);
    this.payload = Buffer.from(frame.payload ?? '', 'base64');
    this.#frame = frame;
  }

  get key(): string | undefined {
    return this.#frame.key;
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#frame.properties ?? {};
  }

  /** Read when it is asked for. Fractions come without their trailing zeros; the parser takes them all. */
  get publishTimeMs(): number {
    return timeOf(this.#frame.publishTime) ?? 0;
  }

  get eventTimeMs(): number | undefined {
    return timeOf(this.#frame.eventTime);
  }

  get redeliveryCount(): number {
    return this.#frame.redeliveryCount ?? 0;
  }
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
