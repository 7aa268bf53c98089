import type { Clock } from '@smartpulse/resilience';
import { BacklogQuotaError, PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { brokerFailure } from '../transport/broker-failure.js';
import type { InitialPosition, OutgoingMessage, SubscriptionType } from '../transport/pulsar.transport.js';
import { InProcessSubscription, type SubscriptionStats } from './in-process.subscription.js';
import { InProcessMessageId, sizeOf, StoredMessage } from './stored-message.js';
import { TopicLog } from './topic-log.js';
import type { TurnBudget } from './turn-budget.js';

/** How much a topic keeps. */
export interface TopicRetention {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** A topic's figures. */
export interface TopicStats {
  /** Messages in the log: those that somebody still needs, and acknowledged ones kept for later subscriptions. */
  readonly messages: number;
  readonly bytes: number;
  /** Messages stored since the topic began. */
  readonly published: number;
  readonly subscriptions: Readonly<Record<string, SubscriptionStats>>;
  /** Messages that the subscription has not acknowledged; 0 when there is no such subscription. */
  backlog(subscription: string): number;
}

/** Producer names remembered for deduplication; the one idle longest is forgotten first. */
const MAX_PRODUCER_NAMES = 10_000;

/** One topic: a retained log and its subscriptions. */
export class InProcessTopic {
  readonly #log = new TopicLog();
  readonly #subscriptions = new Map<string, InProcessSubscription>();
  readonly #lastSequenceIds = new Map<string, bigint>();
  /** Names that a producer has at the moment. */
  readonly #producerNames = new Set<string>();
  #terminated = false;

  constructor(
    readonly name: string,
    readonly instance: string,
    readonly clock: Clock,
    readonly budget: TurnBudget,
    readonly retention: TopicRetention,
  ) {}

  /**
   * Takes a producer's name until {@link releaseName}.
   *
   * @throws PulsarError when another producer has it.
   */
  takeName(name: string): void {
    this.#refuseWhenTerminated();
    if (this.#producerNames.has(name)) {
      throw brokerFailure('SMARTPULSE_PULSAR_PRODUCER_BUSY', `A producer named "${name}" is already on ${this.name}.`, {
        topic: this.name,
      });
    }
    this.#producerNames.add(name);
  }

  /** Takes no more messages. */
  terminate(): void {
    this.#terminated = true;
  }

  /** Whatever is with consumers comes again. */
  returnAll(): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.returnAll();
    }
  }

  releaseName(name: string): void {
    this.#producerNames.delete(name);
  }

  /** The last sequence id stored under a producer name, or -1. */
  lastSequenceId(producerName: string): bigint {
    return this.#lastSequenceIds.get(producerName) ?? -1n;
  }

  /**
   * Stores a message. `deduplicate`: a sequence id that is not above the last one of the producer name is taken for a repetition,
   * accepted and not stored.
   *
   * @throws BacklogQuotaError when there is no room and nothing may be forgotten.
   */
  append(message: OutgoingMessage, producerName: string, sequenceId: bigint, deduplicate: boolean): InProcessMessageId {
    this.#refuseWhenTerminated();
    if (deduplicate && sequenceId <= this.lastSequenceId(producerName)) {
      return new InProcessMessageId(this.instance, -1);
    }
    const bytes = sizeOf(message);
    this.#makeRoom(bytes);
    if (deduplicate) {
      this.#remember(producerName, sequenceId);
    }
    const id = new InProcessMessageId(this.instance, this.#log.end);
    this.#log.append(new StoredMessage(id, this.name, message, producerName, sequenceId, this.clock.now(), bytes));
    for (const subscription of this.#subscriptions.values()) {
      subscription.wake();
    }
    return id;
  }

  /** The subscription of that name, made when there is none. */
  subscription(
    name: string,
    type: SubscriptionType,
    durable: boolean,
    initialPosition: InitialPosition,
  ): InProcessSubscription {
    let subscription = this.#subscriptions.get(name);
    if (subscription === undefined) {
      const position = initialPosition === 'earliest' ? this.#log.head : this.#log.end;
      const { clock, budget } = this;
      const home = { topic: this.name, clock, budget, log: this.#log };
      subscription = new InProcessSubscription(home, name, type, durable, position);
      this.#subscriptions.set(name, subscription);
    } else if (subscription.durable !== durable) {
      throw new PulsarError(
        'SMARTPULSE_PULSAR_SUBSCRIPTION_MISMATCH',
        `Subscription "${name}" on ${this.name} is ${subscription.durable ? 'durable' : 'not durable'}.`,
        { kind: 'permanent', remedy: 'Subscribe the same way, or under another name.', topic: this.name },
      );
    }
    return subscription;
  }

  /** The subscription of that name, or `undefined`. */
  findSubscription(name: string): InProcessSubscription | undefined {
    return this.#subscriptions.get(name);
  }

  /** Producers that are on it. */
  get producers(): number {
    return this.#producerNames.size;
  }

  /** Deletes a subscription with its cursor. */
  deleteSubscription(subscription: InProcessSubscription): void {
    if (this.#subscriptions.get(subscription.name) === subscription) {
      this.#subscriptions.delete(subscription.name);
    }
    subscription.close(new PulsarClosedError('subscription', this.name));
  }

  stats(): TopicStats {
    const subscriptions = this.#subscriptions;
    return {
      messages: this.#log.size,
      bytes: this.#log.bytes,
      published: this.#log.end,
      subscriptions: Object.fromEntries([...subscriptions].map(([name, one]) => [name, one.stats()])),
      backlog: (name) => subscriptions.get(name)?.backlog ?? 0,
    };
  }

  close(): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.close(new PulsarClosedError('broker', this.name));
    }
    this.#subscriptions.clear();
    this.#log.clear();
  }

  #makeRoom(bytes: number): void {
    const { maxMessages, maxBytes } = this.retention;
    while (this.#log.size > 0 && (this.#log.size >= maxMessages || this.#log.bytes + bytes > maxBytes)) {
      const slowest = this.#slowestDurable();
      if (slowest !== undefined && slowest.floor <= this.#log.head) {
        throw new BacklogQuotaError(this.name, slowest.name);
      }
      this.#log.trimFirst();
    }
  }

  #slowestDurable(): InProcessSubscription | undefined {
    let slowest: InProcessSubscription | undefined;
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.durable && (slowest === undefined || subscription.floor < slowest.floor)) {
        slowest = subscription;
      }
    }
    return slowest;
  }

  #remember(producerName: string, sequenceId: bigint): void {
    this.#lastSequenceIds.delete(producerName);
    this.#lastSequenceIds.set(producerName, sequenceId);
    if (this.#lastSequenceIds.size > MAX_PRODUCER_NAMES) {
      for (const oldest of this.#lastSequenceIds.keys()) {
        this.#lastSequenceIds.delete(oldest);
        break;
      }
    }
  }

  #refuseWhenTerminated(): void {
    if (this.#terminated) {
      throw brokerFailure('SMARTPULSE_PULSAR_TOPIC_TERMINATED', `${this.name} is terminated.`, { topic: this.name });
    }
  }
}
