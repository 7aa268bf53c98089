import assert from 'node:assert/strict';
import type { PulsarErrorCode } from '../pulsar.errors.js';
import type { PulsarToken } from '../pulsar.options.js';
import type {
  IncomingMessage,
  OutgoingMessage,
  PulsarTransport,
  TransportConsumer,
  TransportProducer,
  TransportProducerOptions,
  TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';

/** What an operator does to a broker while it is in use, as far as there is such a thing. */
export interface BrokerControl {
  /** Makes a topic of `count` partitions. */
  partition?(topic: string, count: number): Promise<void>;
  /** Deletes it with its subscriptions, though it is in use. */
  remove?(topic: string): Promise<void>;
  /** Takes the topic from its broker, as load balancing does: it comes back by itself. */
  unload(topic: string): Promise<void>;
  /** No message is taken any more. */
  terminate(topic: string): Promise<void>;
  /** The full name of a topic that does not exist, where the broker makes none by itself. */
  missing?(): Promise<string>;
  /** Makes a topic that {@link missing} named. */
  create?(topic: string): Promise<void>;
  /** Ends every connection at once, without a word, whatever is on its way. */
  cut?(): Promise<void>;
  /** Ends the broker without warning; what it acknowledged stays. */
  kill?(): Promise<void>;
  /** Starts one that was killed; resolves when it serves again. */
  restart?(): Promise<void>;
}

/**
 * Who holds a token: `owner` may do everything, `producer` may publish to {@link AccessControl.topic} and not consume, `stranger` may do nothing. The
 * others are no tokens of the broker's any more, or never were.
 */
export type TokenHolder = 'owner' | 'producer' | 'stranger' | 'forged' | 'expired';

/** A way in to a broker that asks who is there. */
export interface AccessWay {
  readonly token?: PulsarToken | undefined;
  /**
   * `trusted`: over TLS, with the authority of the broker's certificate; `unknown authority`: without it; `wrong name`: by an address that is not in the certificate.
   * Default: `plain`.
   */
  readonly line?: 'plain' | 'trusted' | 'unknown authority' | 'wrong name' | undefined;
}

/** The ways in to a broker that asks who is there. */
export interface AccessControl {
  token(holder: TokenHolder): string;
  /** A transport that goes this way, not connected. */
  transport(way: AccessWay): PulsarTransport;
  /** The full name of a topic that nothing was published to. */
  topic(): string;
  /** What the transport makes of a token that is not accepted, where it is not told why. Default: `SMARTPULSE_PULSAR_AUTHENTICATION`. */
  readonly notLetIn?: PulsarErrorCode | undefined;
}

/** What the contract suite needs of the adapter under test; made anew for every case. */
export interface PulsarTransportFixture {
  /** Another connected transport to the same broker: another app. */
  transport(): Promise<PulsarTransport>;
  /** The full name of a topic that nothing was published to. */
  topic(): string;
  /** Lets `ms` milliseconds pass, virtual or real, and what they bring about happen. */
  advance(ms: number): Promise<void>;
  /** Closes everything that the fixture made. */
  close(): Promise<void>;
  /**
   * Sends that were on their way when a connection ended are sent again by the transport itself, and stored once by a broker that deduplicates: none is refused. Default:
   * they may be refused, as perhaps stored.
   */
  readonly resends?: boolean | undefined;
  /** The broker's own controls; without them the cases that need an operator are skipped by name. */
  readonly broker?: BrokerControl;
  /** Without it the cases about tokens, roles and TLS are skipped by name. */
  readonly access?: AccessControl;
  /** Timers that are still set after {@link close}; only for a virtual clock. */
  pendingTimers?(): number;
}

/** A consumer with what it heard. */
export interface Heard {
  readonly consumer: TransportConsumer;
  readonly messages: IncomingMessage[];
  readonly closed: Error[];
  /** The payloads as text. */
  texts(): string[];
  ackAll(): Promise<void>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message with a text payload. */
export function text(payload: string, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { payload: encoder.encode(payload), ...more };
}

/** The payload as text. */
export function textOf(message: IncomingMessage): string {
  return decoder.decode(message.payload);
}

/** A producer that sends at once unless told otherwise. */
export function produce(
  transport: PulsarTransport,
  topic: string,
  more: Partial<TransportProducerOptions> = {},
): Promise<TransportProducer> {
  return transport.createProducer({
    topic,
    batching: { enabled: false, maxMessages: 100, maxBytes: 131_072, maxDelayMs: 100 },
    maxPendingMessages: 500,
    maxPendingBytes: 67_108_864,
    compression: 'none',
    sendTimeoutMs: 30_000,
    ...more,
  });
}

/** A consumer with permits. */
export async function consume(
  transport: PulsarTransport,
  topic: string,
  more: Partial<TransportSubscribeOptions> & { readonly permits?: number } = {},
): Promise<Heard> {
  const messages: IncomingMessage[] = [];
  const closed: Error[] = [];
  const { permits = 1_000, ...options } = more;
  const consumer = await transport.subscribe(
    { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true, ...options },
    { onMessage: (message) => void messages.push(message), onClosed: (error) => void closed.push(error) },
  );
  if (permits > 0) {
    consumer.permit(permits);
  }
  return {
    consumer,
    messages,
    closed,
    texts: () => messages.map(textOf),
    ackAll: async () => {
      await Promise.all(messages.map((message) => consumer.ack(message.id)));
    },
  };
}

/** Waits until `condition` holds, up to ten seconds of the fixture's time. */
export async function eventually(
  fixture: PulsarTransportFixture,
  condition: () => boolean,
  what: string,
): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) {
    await fixture.advance(20);
  }
  assert.ok(condition(), what);
}

/** `n0`, `n1`, … */
export function names(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, at) => `n${from + at}`);
}
