import { PulsarError } from '../pulsar.errors.js';
import type { PulsarTransport } from '../transport/pulsar.transport.js';

/** The subscription whose backlog are the letters that nobody has replayed or purged yet. */
export const DEAD_LETTER_SUBSCRIPTION = 'smartpulse-dead-letters';

/** What a broker says of a subscription that is there and in use. */
const THERE: ReadonlySet<string> = new Set([
  'SMARTPULSE_PULSAR_CONSUMER_BUSY',
  'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH',
]);

/**
 * Sees to it that a dead letter topic has a subscription: a broker drops what nobody is subscribed to as soon as its retention allows, at once by default, and a
 * letter would be acknowledged and gone.
 */
export class LetterKeeper {
  readonly #transport: PulsarTransport;
  readonly #topic: string;
  readonly #subscription: string | undefined;
  #keeping: Promise<void> | undefined;

  /** @param subscription `undefined`: none is made. */
  constructor(transport: PulsarTransport, topic: string, subscription: string | undefined) {
    this.#transport = transport;
    this.#topic = topic;
    this.#subscription = subscription;
  }

  /**
   * Resolves when there is one. Asked once; a failure is forgotten, so that the next letter tries again.
   *
   * @throws PulsarError
   */
  keep(): Promise<void> {
    this.#keeping ??= this.#make().catch((error: unknown) => {
      this.#keeping = undefined;
      throw error;
    });
    return this.#keeping;
  }

  async #make(): Promise<void> {
    const subscription = this.#subscription;
    if (subscription === undefined) {
      return;
    }
    try {
      const consumer = await this.#transport.subscribe(
        { topic: this.#topic, subscription, type: 'Exclusive', initialPosition: 'earliest', durable: true },
        // Without permits nothing comes, and it is closed at once.
        { onMessage: () => {}, onClosed: () => {} },
      );
      await consumer.close();
    } catch (error) {
      if (!(PulsarError.is(error) && THERE.has(error.code))) {
        throw error;
      }
    }
  }
}
