import { Inject, Injectable, Logger } from '@nestjs/common';
import { Clock, Random } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { DEAD_LETTER_SUBSCRIPTION, LetterKeeper } from '../dead-letters/letter-keeper.js';
import { type EventContract, topicOf } from '../event/define-event.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';
import { PulsarTelemetry, type WatchedSend } from '../pulsar.telemetry.js';
import type { BatchSpans } from '../telemetry/message-spans.js';
import type { OutgoingMessage } from '../transport/pulsar.transport.js';
import { outgoingMessage } from './outgoing.js';
import { ProducerPool, type ProducerProfile } from './producer-pool.js';
import type { PublishOptions, PublishOutcome, PublishResult } from './publish-options.js';
import { Sending, type SendsPort, sendWhenMade } from './sending.js';
import { type TopicProducer, TopicProducers } from './topic-producers.js';

/**
 * Publishes messages. A resolved promise means that the broker has stored the message; a rejected one is a {@link PulsarError} whose
 * `kind` says what to do and whose `ambiguous` says whether it may have been stored all the same. Nothing is retried here, except once
 * on a producer that its transport had given up before anything was sent.
 *
 * One producer per topic serves all callers; messages of one topic are sent in the order of the calls. At the pending limit `publish`
 * waits.
 *
 * @example
 * ```ts
 * await publisher.publish(forecastComputed, { unit: 'U-17', megawatt: 12.5 });
 * await publisher.publish('audit', { who: 'system' }, { key: 'system', signal });
 * ```
 */
@Injectable()
export class PulsarPublisher {
  readonly #logger = new Logger(PulsarPublisher.name);
  readonly #connection: PulsarConnection;
  readonly #clock: Clock;
  readonly #telemetry: PulsarTelemetry;
  readonly #pool: ProducerPool;
  readonly #producers: TopicProducers;
  readonly #nowMs = (): number => this.#clock.monotonic();
  readonly #sends: SendsPort = {
    stored: (sending, id) => {
      this.#leave(sending);
      this.#ended(sending.watched, undefined);
      sending.resolve({ topic: sending.topic, messageId: id.toString() });
    },
    failed: (sending, cause) => this.#refused(sending, cause),
  };
  /** Calls so far: their order. */
  #turns = 0;
  /** By topic; topics of letters are configured, not made of data. */
  readonly #keepers = new Map<string, LetterKeeper>();
  #closed = false;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(PulsarTelemetry) telemetry: PulsarTelemetry,
    @Inject(Random) random: Random,
  ) {
    this.#connection = connection;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#producers = new TopicProducers(options.producer, clock, connection.transport);
    this.#pool = new ProducerPool({
      max: options.producer.poolMax,
      maxUses: (topic) => this.#producers.of(topic).maxUses,
      idleMs: options.producer.poolIdleMs,
      clock,
      random,
      create: async (producer) => {
        await connection.ready();
        const made = await connection.transport.createProducer(producer);
        telemetry.producerOpened(producer.topic);
        return made;
      },
      onClosed: (topic) => telemetry.producerClosed(topic),
      onCloseFailed: (topic, error) =>
        this.#logger.error(`The producer on ${topic} could not be closed.`, error instanceof Error ? error.stack : ''),
    });
  }

  /** Producers that are open now. */
  get producers(): number {
    return this.#pool.size;
  }

  /** Publishes that are called and not settled. */
  get pending(): number {
    return this.#pool.pending;
  }

  /**
   * Publishes one message; resolves when the broker has stored it.
   *
   * @throws PulsarError; InvalidPayloadError when the data does not fit the contract; ConfigurationError when the topic's name is none.
   */
  publish<T>(topic: string | EventContract<T>, data: T, options: PublishOptions<T> = {}): Promise<PublishResult> {
    let name: string;
    let message: OutgoingMessage;
    let producer: TopicProducer;
    try {
      name = this.#connection.topicName(topicOf(topic));
      producer = this.#producers.of(name);
      message = outgoingMessage(name, topic, data, options, producer.outgoing);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#send(name, producer.profile, message, options.signal);
  }

  /**
   * Publishes several messages in order, without waiting for a batch to fill up at the end. Answers what became of each, in the order of
   * the items; never rejects for an item.
   *
   * @throws ConfigurationError when the topic's name is none.
   */
  async publishMany<T>(
    topic: string | EventContract<T>,
    items: readonly { readonly data: T; readonly options?: PublishOptions<T> | undefined }[],
  ): Promise<readonly PublishOutcome[]> {
    const name = this.#connection.topicName(topicOf(topic));
    const batch = this.#telemetry.startBatch();
    const outcomes = items.map(({ data, options = {} }) => this.#outcome(name, topic, data, options, batch));
    const span = this.#telemetry.startBatchSend(name, batch);
    if (outcomes.length > 0) {
      // What a flush fails with is every item's own outcome already.
      await this.#pool.flush(name).catch((error: unknown) => PulsarError.from(error, name));
    }
    const settled = await Promise.all(outcomes);
    this.#telemetry.endBatch(span, settled.find(isRejected)?.error.code);
    return settled;
  }

  /** Sends what lingers and resolves when everything published before is settled; on one topic, or on all. */
  async flush<T>(topic?: string | EventContract<T>): Promise<void> {
    await this.#pool.flush(topic === undefined ? undefined : this.#connection.topicName(topicOf(topic)));
  }

  /**
   * Sees to it that a topic of letters has the subscription that `PulsarDeadLetters` works off, so that no retention drops what is put there. Ask before each
   * letter: the broker is asked once.
   *
   * @throws PulsarError when it cannot be made.
   */
  async keepLetters(topic: string): Promise<void> {
    const name = this.#connection.topicName(topic);
    let keeper = this.#keepers.get(name);
    if (keeper === undefined) {
      await this.#connection.ready();
      keeper = new LetterKeeper(this.#connection.transport, name, DEAD_LETTER_SUBSCRIPTION);
      this.#keepers.set(name, keeper);
    }
    await keeper.keep();
  }

  /**
   * Sends a ready message without batching: dead letters, which must not wait for others.
   *
   * @internal
   */
  sendDirect(topic: string, message: OutgoingMessage): Promise<PublishResult> {
    return this.#send(topic, this.#producers.of(topic).direct, message, undefined);
  }

  /** Refuses further publishes, waits for those on their way and closes the producers. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
  }

  async #outcome<T>(
    name: string,
    topic: string | EventContract<T>,
    data: T,
    options: PublishOptions<T>,
    batch: BatchSpans | undefined,
  ): Promise<PublishOutcome> {
    try {
      const { profile, outgoing } = this.#producers.of(name);
      const message = outgoingMessage(name, topic, data, options, outgoing);
      return { status: 'fulfilled', value: await this.#send(name, profile, message, options.signal, batch) };
    } catch (error) {
      return { status: 'rejected', error: PulsarError.from(error, name) };
    }
  }

  #send(
    topic: string,
    profile: ProducerProfile,
    message: OutgoingMessage,
    signal: AbortSignal | undefined,
    batch?: BatchSpans,
  ): Promise<PublishResult> {
    if (this.#closed) {
      return Promise.reject(new PulsarClosedError('publisher', topic));
    }
    const watched = this.#telemetry.startSend(topic, message, this.#nowMs, batch);
    const turn = ++this.#turns;
    return new Promise((resolve, reject) => {
      this.#attempt(
        new Sending(this.#sends, resolve, reject, topic, profile, watched?.message ?? message, signal, watched, turn),
      );
    });
  }

  #attempt(sending: Sending): void {
    try {
      const lease = this.#pool.lease(sending.topic, sending.profile);
      sending.lease = lease;
      if (lease.producer === undefined) {
        sendWhenMade(lease, sending);
      } else {
        sending.by(lease.producer);
      }
    } catch (cause) {
      this.#refused(sending, cause);
    }
  }

  /** Sends once more what its transport gave back unsent; anything else is the caller's. */
  #refused(sending: Sending, cause: unknown): void {
    const { topic, profile, watched } = sending;
    const producer = sending.lease?.producer;
    this.#leave(sending);
    if (sending.isAgain || producer === undefined || !isGivenUp(cause) || this.#closed) {
      const error = PulsarError.from(cause, topic);
      this.#ended(watched, error.code);
      sending.reject(error);
      return;
    }
    this.#pool.discard(topic, profile, producer);
    sending.isAgain = true;
    this.#attempt(sending);
  }

  #leave(sending: Sending): void {
    if (sending.lease !== undefined) {
      this.#pool.release(sending.lease);
      sending.lease = undefined;
    }
  }

  #ended(watched: WatchedSend | undefined, errorCode: string | undefined): void {
    if (watched !== undefined) {
      this.#telemetry.endSend(watched, this.#nowMs, errorCode);
    }
  }
}

/** Whether the transport gave the producer up before it sent anything. */
function isGivenUp(error: unknown): boolean {
  return PulsarError.is(error) && error.kind === 'recreate' && !error.ambiguous;
}

function isRejected(outcome: PublishOutcome): outcome is Extract<PublishOutcome, { readonly status: 'rejected' }> {
  return outcome.status === 'rejected';
}
