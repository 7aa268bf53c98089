import type { Clock, Timer } from '@smartpulse/resilience';
import { PulsarError } from '../pulsar.errors.js';
import type {
  IncomingMessage,
  PulsarTransport,
  TransportConsumer,
  TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';

/** How letters are read. */
export interface LetterReaderOptions {
  readonly transport: Pick<PulsarTransport, 'subscribe'>;
  readonly clock: Clock;
  readonly subscribe: Pick<TransportSubscribeOptions, 'topic' | 'subscription' | 'type' | 'durable'>;
  /** Letters that are asked for ahead. */
  readonly window: number;
  /** When no letter has come for so long, there are no more. */
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
}

type Waiter = {
  readonly resolve: (message: IncomingMessage | undefined) => void;
  readonly reject: (error: Error) => void;
};

/** Reads a dead letter topic from its beginning, one letter after the other. What is not acknowledged is there again for the next reader. */
export class LetterReader {
  readonly #options: LetterReaderOptions;
  readonly #queue: IncomingMessage[] = [];
  /** Ids of what came before: a connection that is made anew brings everything unacknowledged again. No more of them than are read, and a window. */
  readonly #seen = new Set<string>();
  #consumer: TransportConsumer | undefined;
  #failure: Error | undefined;
  #waiter: Waiter | undefined;
  #idle: Timer | undefined;

  private constructor(options: LetterReaderOptions) {
    this.#options = options;
  }

  /** @throws PulsarError when the topic cannot be read; ConsumerBusyError when another reader of the same subscription is at work. */
  static async open(options: LetterReaderOptions): Promise<LetterReader> {
    const reader = new LetterReader(options);
    const { subscribe, transport, window } = options;
    reader.#consumer = await transport.subscribe(
      { ...subscribe, initialPosition: 'earliest', expectedPermits: window },
      { onMessage: (message) => reader.#take(message), onClosed: (error) => reader.#fail(error) },
    );
    reader.#consumer.permit(window);
    return reader;
  }

  /**
   * The next letter; `undefined` when there are no more, or the signal is aborted.
   *
   * @throws PulsarError when the connection is lost.
   */
  async next(): Promise<IncomingMessage | undefined> {
    const { clock, idleMs, signal } = this.#options;
    if (signal?.aborted === true) {
      return undefined;
    }
    const known = this.#queue.shift();
    if (known !== undefined) {
      this.#consumer?.permit(1);
      return known;
    }
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    const message = await new Promise<IncomingMessage | undefined>((resolve, reject) => {
      const onAbort = (): void => settle(() => resolve(undefined));
      const settle = (end: () => void): void => {
        this.#idle?.cancel();
        this.#waiter = undefined;
        signal?.removeEventListener('abort', onAbort);
        end();
      };
      this.#waiter = {
        resolve: (found) => settle(() => resolve(found)),
        reject: (error) => settle(() => reject(error)),
      };
      this.#idle = clock.setTimer(idleMs, onAbort);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    if (message !== undefined) {
      this.#consumer?.permit(1);
    }
    return message;
  }

  /** @throws PulsarError when the broker does not take it: the letter is there again. */
  async ack(message: IncomingMessage): Promise<void> {
    await this.#consumer?.ack(message.id);
  }

  /** What was not acknowledged goes back. */
  async close(): Promise<void> {
    await this.#consumer?.close();
  }

  #take(message: IncomingMessage): void {
    const id = message.id.toString();
    if (this.#seen.has(id)) {
      // The copy that came first is as good for the answer.
      this.#consumer?.permit(1);
      return;
    }
    this.#seen.add(id);
    if (this.#waiter === undefined) {
      this.#queue.push(message);
    } else {
      this.#waiter.resolve(message);
    }
  }

  #fail(error: Error): void {
    this.#failure = PulsarError.from(error, this.#options.subscribe.topic);
    this.#waiter?.reject(this.#failure);
  }
}
