import type { IncomingMessage } from '../transport/pulsar.transport.js';
import { PulsarError } from '../pulsar.errors.js';
import type { PulsarContext } from './pulsar-context.js';
import { ack, deadLetter, nack, type Settlement } from './settlement.js';

/** Reads the message when asked: many a handler wants the payload only, and a transport decodes nothing in vain. */
export class MessageContext implements PulsarContext {
  readonly #message: IncomingMessage;
  readonly #run: { readonly signal: AbortSignal };
  readonly attempt: number;
  #settlement: { say(settlement: Settlement): void } | undefined;

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

  ack(): void {
    this.#manual('ack').say(ack());
  }

  nack(delayMs = 0): void {
    this.#manual('nack').say(nack(delayMs));
  }

  deadLetter(reason: string): void {
    this.#manual('deadLetter').say(deadLetter(reason));
  }

  /** The handler settles the message itself. */
  settleBy(settlement: { say(settlement: Settlement): void }): void {
    this.#settlement = settlement;
  }

  #manual(call: string): { say(settlement: Settlement): void } {
    if (this.#settlement === undefined) {
      throw new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', `context.${call}() has no effect on this handler.`, {
        kind: 'permanent',
        remedy: `Set ack: 'manual' in its options, or return ${call}(…) of this package from the handler.`,
        topic: this.topic,
      });
    }
    return this.#settlement;
  }
}
