import { checkOptions, type Clock, type Random, SystemRandom } from '@smartpulse/resilience';
import { z } from 'zod';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { InProcessTopic, type TopicRetention, type TopicStats } from './in-process.topic.js';
import { TurnBudget } from './turn-budget.js';

/** What an {@link InProcessBroker} keeps. */
export interface InProcessRetention {
  /** Messages per topic. Default 1,000,000. */
  readonly maxMessages?: number | undefined;
  /** Payload, key and property bytes per topic. Default 268,435,456 (256 MiB). */
  readonly maxBytes?: number | undefined;
  /** Topics. Default 10,000. */
  readonly maxTopics?: number | undefined;
}

/** The defaults of {@link InProcessRetention}. */
export const IN_PROCESS_RETENTION: Readonly<Record<keyof InProcessRetention, number>> = Object.freeze({
  maxMessages: 1_000_000,
  maxBytes: 268_435_456,
  maxTopics: 10_000,
});

/** What an {@link InProcessBroker} is made of. */
export interface InProcessBrokerOptions {
  readonly clock: Clock;
  /** Names the broker. Default: the machine's chance. */
  readonly random?: Random | undefined;
  readonly retention?: InProcessRetention | undefined;
}

const bound = (unit: string) =>
  z
    .number({ error: `expected a whole number of ${unit} from 1` })
    .int({ error: `expected a whole number of ${unit} from 1` })
    .min(1, { error: `expected a whole number of ${unit} from 1` })
    .optional();
const retentionSchema = z.strictObject({
  maxMessages: bound('messages'),
  maxBytes: bound('bytes'),
  maxTopics: bound('topics'),
});

/**
 * A broker in this process: topics with a retained log, subscriptions with cursors. It lives as long as the object: make one, hand it to
 * the transports of every app that shares it, close it last. Nothing of it survives the process.
 *
 * A topic keeps acknowledged messages for later `earliest` subscriptions up to its retention, then forgets the oldest. When the oldest
 * message is still needed by a durable subscription, a publish is refused with `BacklogQuotaError`; nothing is dropped.
 *
 * @throws ConfigurationError when the retention is wrong.
 * @example
 * ```ts
 * const broker = new InProcessBroker({ clock });
 * PulsarModule.forRoot({ url: 'memory://', transport: new InProcessTransport(broker) });
 * ```
 */
export class InProcessBroker {
  readonly #topics = new Map<string, InProcessTopic>();
  readonly #budget: TurnBudget;
  readonly #retention: TopicRetention;
  readonly #maxTopics: number;
  #producers = 0;
  #closed = false;

  /** Random per object: another one means another log. */
  readonly instance: string;
  readonly clock: Clock;

  constructor(options: InProcessBrokerOptions) {
    const retention = checkOptions('InProcessBroker', retentionSchema, options.retention ?? {});
    this.clock = options.clock;
    this.instance = (options.random ?? new SystemRandom()).id();
    this.#budget = new TurnBudget(options.clock);
    this.#retention = {
      maxMessages: retention.maxMessages ?? IN_PROCESS_RETENTION.maxMessages,
      maxBytes: retention.maxBytes ?? IN_PROCESS_RETENTION.maxBytes,
    };
    this.#maxTopics = retention.maxTopics ?? IN_PROCESS_RETENTION.maxTopics;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The full names of the topics that exist. */
  get topics(): readonly string[] {
    return [...this.#topics.keys()];
  }

  /** A topic's figures by its full name; all zero when there is no such topic. */
  stats(topic: string): TopicStats {
    return (
      this.#topics.get(topic)?.stats() ?? { messages: 0, bytes: 0, published: 0, subscriptions: {}, backlog: () => 0 }
    );
  }

  /** Takes no more messages on a topic: publishes are refused for good, what is stored is still delivered. */
  async terminate(topic: string): Promise<void> {
    this.topic(topic).terminate();
  }

  /** Does what happens to clients when a topic moves to another broker: what is not acknowledged comes again. */
  async unload(topic: string): Promise<void> {
    this.#topics.get(topic)?.returnAll();
  }

  /** Forgets every topic; consumers hear that they are closed. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const topic of this.#topics.values()) {
      topic.close();
    }
    this.#topics.clear();
    this.#budget.close();
  }

  /**
   * The topic of that full name, made when there is none.
   *
   * @internal
   * @throws PulsarClosedError, or PulsarError when there are too many topics.
   */
  topic(name: string): InProcessTopic {
    if (this.#closed) {
      throw new PulsarClosedError('broker', name);
    }
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      if (this.#topics.size >= this.#maxTopics) {
        throw new PulsarError('SMARTPULSE_PULSAR_TOO_MANY_TOPICS', `The broker has ${this.#maxTopics} topics.`, {
          kind: 'permanent',
          remedy: 'Do not make topic names of data, or raise retention.maxTopics.',
          topic: name,
        });
      }
      topic = new InProcessTopic(name, this.instance, this.clock, this.#budget, this.#retention);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  /** @internal The topic of that full name, or `undefined`. */
  findTopic(name: string): InProcessTopic | undefined {
    return this.#topics.get(name);
  }

  /** @internal Forgets a topic; its consumers hear that they are closed. */
  deleteTopic(name: string): void {
    this.#topics.get(name)?.close();
    this.#topics.delete(name);
  }

  /** @internal A producer name nobody else has. */
  nextProducerName(): string {
    return `${this.instance}-${this.#producers++}`;
  }
}
