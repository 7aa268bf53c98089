import assert from 'node:assert/strict';
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
  /** The broker's own controls; without them the cases that need an operator are skipped by name. */
  readonly broker?: BrokerControl;
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
