import { Inject, Injectable } from '@nestjs/common';
import { Clock, ConfigurationError, Random } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { PulsarRegistry } from '../consumer/pulsar.registry.js';
import { PulsarClosedError } from '../pulsar.errors.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import { type DeadLetter, readLetter, REPLAY_RUN, revived } from './dead-letter.js';
import { DEAD_LETTER_SUBSCRIPTION } from './letter-keeper.js';
import { LetterReader } from './letter-reader.js';

/** How letters are looked at. */
export interface LookOptions {
  /** The most that are read, 1 to 100,000. Default 10,000; `peek` 20. */
  readonly limit?: number | undefined;
  /** When no letter has come for so long, there are no more, milliseconds. Default 1,000. */
  readonly idleMs?: number | undefined;
  /** Ends it early; what was done until then is done. */
  readonly signal?: AbortSignal | undefined;
}

/** Which letters are replayed or purged. */
export interface LetterSelection extends LookOptions {
  /** Letters that it refuses stay where they are. Default: all. */
  readonly filter?: ((letter: DeadLetter) => boolean) | undefined;
  /** Called after each letter with what was done so far. */
  readonly onProgress?: ((progress: LetterProgress) => void) | undefined;
}

/** How letters are replayed. */
export interface ReplayOptions extends LetterSelection {
  /** Short or full name of the topic to publish to. Default: the topic that each message was published to first. */
  readonly to?: string | undefined;
}

/** What was done with letters. */
export interface LetterProgress {
  /** Published again, or removed by `purge`, and gone from the dead letters. */
  readonly done: number;
  /** Read and left: the filter refused them, or they do not say where they came from. */
  readonly left: number;
}

/** A dead letter topic, and who writes to it. */
export interface DeadLetterTopic {
  /** The full name. */
  readonly topic: string;
  /** Ids of this app's consumers whose letters it takes. */
  readonly consumers: readonly string[];
}

const MOST_LETTERS = 100_000;
const DEFAULT_LIMIT = 10_000;
const DEFAULT_PEEK = 20;
const DEFAULT_IDLE_MS = 1_000;
const WINDOW = 100;
const PARTITION = /-partition-\d+$/;

/**
 * Looks at dead letters, and brings them back: by every transport, and without access to the broker's administration. What is still to be dealt with is the
 * backlog of one subscription, `smartpulse-dead-letters`, on each dead letter topic; letters that are replayed or purged leave it. One replay or purge of a
 * topic at a time, in the whole cluster: another one gets a `ConsumerBusyError`.
 *
 * @example
 * ```ts
 * const [letter] = await deadLetters.peek('orders/mailer');
 * console.log(letter?.exceptionMessage, letter?.decode());
 * await deadLetters.replay('orders/mailer', { filter: ({ exceptionType }) => exceptionType === 'SmtpError', limit: 500 });
 * ```
 */
@Injectable()
export class PulsarDeadLetters {
  readonly #connection: PulsarConnection;
  readonly #registry: PulsarRegistry;
  readonly #publisher: PulsarPublisher;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #running = new Set<Promise<unknown>>();
  readonly #stopping = new AbortController();

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarRegistry) registry: PulsarRegistry,
    @Inject(PulsarPublisher) publisher: PulsarPublisher,
    @Inject(Clock) clock: Clock,
    @Inject(Random) random: Random,
  ) {
    this.#connection = connection;
    this.#registry = registry;
    this.#publisher = publisher;
    this.#clock = clock;
    this.#random = random;
  }

  /** The dead letter topics of this app's consumers. */
  topics(): readonly DeadLetterTopic[] {
    const topics = new Map<string, string[]>();
    for (const { id, deadLetterTopic } of this.#registry.list()) {
      if (deadLetterTopic !== undefined) {
        topics.set(deadLetterTopic, [...(topics.get(deadLetterTopic) ?? []), id]);
      }
    }
    return [...topics].map(([topic, consumers]) => ({ topic, consumers }));
  }

  /**
   * How many letters wait, up to `limit`. They are read for it and given back.
   *
   * @param source the id of a consumer of this app, or a topic's short or full name.
   * @throws ConfigurationError when that is neither; PulsarError when the topic cannot be read.
   */
  async count(source: string, options: LookOptions = {}): Promise<number> {
    const { left } = await this.#each(source, options, () => Promise.resolve(false));
    return left;
  }

  /**
   * The letters that wait, oldest first; they are given back.
   *
   * @throws see {@link count}.
   */
  async peek(source: string, options: LookOptions = {}): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    await this.#each(source, { ...options, limit: options.limit ?? DEFAULT_PEEK }, (message) => {
      letters.push(readLetter(message));
      return Promise.resolve(false);
    });
    return letters;
  }

  /**
   * Publishes letters again, each to the topic where it was first; a letter leaves when the broker has stored its message. When that fails it stays, and the
   * replay ends; dying in between leaves a message twice, never none. One that dies again meanwhile is left. Messages come without the headers of their death and with `x-replayed-from`; order per
   * key is that of the letters.
   *
   * @throws see {@link count}; PulsarError when a message is refused or a letter cannot be acknowledged.
   */
  replay(source: string, options: ReplayOptions = {}): Promise<LetterProgress> {
    const to = options.to === undefined ? undefined : this.#connection.topicName(options.to);
    const run = this.#random.id();
    return this.#each(source, options, async (message, topic) => {
      const target = to ?? readLetter(message).originalTopic?.replace(PARTITION, '');
      if (target === undefined || target === topic || message.properties[REPLAY_RUN] === run) {
        return false;
      }
      await this.#publisher.sendDirect(this.#connection.topicName(target), revived(message, topic, run));
      return true;
    });
  }

  /**
   * Removes letters for good.
   *
   * @throws see {@link count}.
   */
  purge(source: string, options: LetterSelection = {}): Promise<LetterProgress> {
    return this.#each(source, options, () => Promise.resolve(true));
  }

  /**
   * Ends what is under way behind the letter at hand, which is stored and acknowledged first, and resolves when it has ended; what is asked for later is
   * refused. The app's stop does it, before producers are flushed.
   */
  async finish(): Promise<void> {
    this.#stopping.abort(new PulsarClosedError('dead letters', undefined));
    await Promise.allSettled(this.#running);
  }

  #each(
    source: string,
    options: LetterSelection,
    deal: (message: IncomingMessage, topic: string) => Promise<boolean>,
  ): Promise<LetterProgress> {
    const work = this.#goThrough(source, options, deal).finally(() => this.#running.delete(work));
    this.#running.add(work);
    return work;
  }

  /** Goes through the letters; one that `deal` answers `true` for is acknowledged. */
  async #goThrough(
    source: string,
    options: LetterSelection,
    deal: (message: IncomingMessage, topic: string) => Promise<boolean>,
  ): Promise<LetterProgress> {
    this.#stopping.signal.throwIfAborted();
    const { filter, idleMs = DEFAULT_IDLE_MS, limit = DEFAULT_LIMIT, onProgress } = options;
    const signal = AbortSignal.any([this.#stopping.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    checkLook(limit, idleMs);
    const topic = this.#topicOf(source);
    await this.#connection.ready();
    const reader = await LetterReader.open({
      transport: this.#connection.transport,
      clock: this.#clock,
      subscribe: { topic, subscription: DEAD_LETTER_SUBSCRIPTION, type: 'Exclusive', durable: true },
      window: Math.min(WINDOW, limit),
      idleMs,
      signal,
    });
    let [done, left] = [0, 0];
    try {
      while (done + left < limit) {
        // oxlint-disable-next-line no-await-in-loop -- one letter after the other keeps their order
        const message = await reader.next();
        if (message === undefined) {
          break;
        }
        const wanted = filter === undefined || filter(readLetter(message));
        // oxlint-disable-next-line no-await-in-loop -- stored, then acknowledged
        if (wanted && (await deal(message, topic))) {
          // oxlint-disable-next-line no-await-in-loop -- before the next one
          await reader.ack(message);
          done++;
        } else {
          left++;
        }
        onProgress?.({ done, left });
      }
    } finally {
      await reader.close();
    }
    return { done, left };
  }

  #topicOf(source: string): string {
    const consumer = this.#registry.get(source);
    if (consumer === undefined) {
      return this.#connection.topicName(source);
    }
    if (consumer.deadLetterTopic === undefined) {
      throw new ConfigurationError('PulsarDeadLetters', [
        { option: 'source', problem: `consumer "${source}" has no dead letter topic` },
      ]);
    }
    return consumer.deadLetterTopic;
  }
}

function checkLook(limit: number, idleMs: number): void {
  const issues = [
    ...(Number.isInteger(limit) && limit >= 1 && limit <= MOST_LETTERS
      ? []
      : [{ option: 'limit', problem: `expected a whole number of letters, 1 to ${MOST_LETTERS}` }]),
    ...(idleMs > 0 && Number.isFinite(idleMs) ? [] : [{ option: 'idleMs', problem: 'expected milliseconds above 0' }]),
  ];
  if (issues.length > 0) {
    throw new ConfigurationError('PulsarDeadLetters', issues);
  }
}
