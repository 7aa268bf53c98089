import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { PulsarContext } from './pulsar-context.js';

/** Reads the message when asked: many a handler wants the payload only, and a transport decodes nothing in vain. */
export class MessageContext implements PulsarContext {
  readonly #message: IncomingMessage;
  readonly #run: { readonly signal: AbortSignal };
  readonly attempt: number;

  constructor(message: IncomingMessage, attempt: number, run: { readonly signal: AbortSignal }) {
    this.#message = message;
    this.#run = run;
    this.attempt = attempt;
  }

  get messageId(): string {
    return this.#message.id.toString();
  }

  get topic(): string {
    return this.#message.topic;
  }

  get key(): string | undefined {
    return this.#message.key;
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#message.properties;
  }

  get redeliveryCount(): number {
    return this.#message.redeliveryCount;
  }

  get publishTimeMs(): number {
    return this.#message.publishTimeMs;
  }

  get eventTimeMs(): number | undefined {
    return this.#message.eventTimeMs;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }
}
