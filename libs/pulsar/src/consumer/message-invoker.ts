import type { Clock } from '@smartpulse/resilience';
import type { ConsumerSeries, PulsarTelemetry } from '../pulsar.telemetry.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { MessageHandler } from './consumer-options.js';
import type { PayloadReader } from './payload-reader.js';
import type { PulsarContext } from './pulsar-context.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { runHandler } from './run-handler.js';

/** How a handler run ended. `invalid`: the payload could not be read, the handler was not called. */
export type RunResult =
  | { readonly status: 'fulfilled'; readonly value: unknown }
  | { readonly status: 'rejected'; readonly error: unknown }
  | { readonly status: 'invalid'; readonly error: Error };

/** What a {@link MessageInvoker} is made of. */
export interface MessageInvokerOptions<T> {
  readonly consumer: ResolvedConsumerOptions;
  readonly reader: PayloadReader<T>;
  readonly handler: MessageHandler<T>;
  readonly telemetry: PulsarTelemetry;
  readonly series: ConsumerSeries;
  readonly clock: Clock;
}

/** Reads a message's payload and runs the handler on it, within its time and its trace. Never rejects. */
export class MessageInvoker<T> {
  readonly #options: MessageInvokerOptions<T>;
  #running = 0;

  constructor(options: MessageInvokerOptions<T>) {
    this.#options = options;
  }

  /** Handlers that run now. */
  get running(): number {
    return this.#running;
  }

  /** @param attempt which handler run of the message it is, from 1. */
  async run(message: IncomingMessage, attempt: number, stop: AbortSignal): Promise<RunResult> {
    this.#running++;
    try {
      const read = await this.#read(message);
      return read.status === 'invalid' ? read : await this.#invoke(read.payload, message, attempt, stop);
    } finally {
      this.#running--;
    }
  }

  async #read(
    message: IncomingMessage,
  ): Promise<{ readonly status: 'read'; readonly payload: T } | { readonly status: 'invalid'; readonly error: Error }> {
    try {
      return { status: 'read', payload: await this.#options.reader.read(message) };
    } catch (error) {
      return { status: 'invalid', error: asError(error) };
    }
  }

  async #invoke(payload: T, message: IncomingMessage, attempt: number, stop: AbortSignal): Promise<RunResult> {
    const { clock, consumer, handler, series, telemetry } = this.#options;
    const { timeoutMs, abortGraceMs } = consumer;
    const nowMs = (): number => clock.monotonic();
    try {
      const value = await runHandler({ clock, topic: message.topic, timeoutMs, abortGraceMs, stop }, (signal) =>
        telemetry.process(series, message.topic, message.properties, nowMs, async () =>
          handler(payload, contextOf(message, attempt, signal)),
        ),
      );
      return { status: 'fulfilled', value };
    } catch (error) {
      return { status: 'rejected', error };
    }
  }
}

/** The error itself, or one made of what was thrown instead. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function contextOf(message: IncomingMessage, attempt: number, signal: AbortSignal): PulsarContext {
  return {
    messageId: message.id.toString(),
    topic: message.topic,
    key: message.key,
    properties: message.properties,
    attempt,
    redeliveryCount: message.redeliveryCount,
    publishTimeMs: message.publishTimeMs,
    eventTimeMs: message.eventTimeMs,
    signal,
  };
}
