import { Inject, Injectable, Logger } from '@nestjs/common';
import { Clock } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { type EventContract, topicOf } from '../event/define-event.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ProducerDefaults, type ResolvedPulsarOptions } from '../pulsar.options.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { BatchSpans } from '../telemetry/message-spans.js';
import type { MessageId, OutgoingMessage, TransportProducer } from '../transport/pulsar.transport.js';
import { outgoingMessage } from './outgoing.js';
import { ProducerPool, type ProducerProfile } from './producer-pool.js';
import type { PublishOptions, PublishOutcome, PublishResult } from './publish-options.js';

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
  readonly #profile: ProducerProfile;
  readonly #directProfile: ProducerProfile;
  readonly #producerName: string | undefined;
  readonly #validate: boolean;
  readonly #nowMs = (): number => this.#clock.monotonic();
  #closed = false;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(PulsarTelemetry) telemetry: PulsarTelemetry,
  ) {
    this.#connection = connection;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#producerName = options.producer.producerName;
    this.#validate = options.producer.validate;
    this.#profile = profileOf(options.producer);
    this.#directProfile = directProfileOf(this.#profile);
    this.#pool = new ProducerPool({
      max: options.producer.poolMax,
      maxUses: options.producer.maxPendingMessages + options.producer.maxWaitingMessages,
      idleMs: options.producer.poolIdleMs,
      clock,
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
  async publish<T>(topic: string | EventContract<T>, data: T, options: PublishOptions<T> = {}): Promise<PublishResult> {
    const name = this.#connection.topicName(topicOf(topic));
    return this.#send(name, this.#profile, this.#message(name, topic, data, options), options.signal);
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
   * Sends a ready message without batching: dead letters, which must not wait for others.
   *
   * @internal
   */
  sendDirect(topic: string, message: OutgoingMessage): Promise<PublishResult> {
    return this.#send(topic, this.#directProfile, message, undefined);
  }

  /** Refuses further publishes, waits for those on their way and closes the producers. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
  }

  #message<T>(name: string, topic: string | EventContract<T>, data: T, options: PublishOptions<T>): OutgoingMessage {
    return outgoingMessage(topic, data, options, {
      topic: name,
      nowMs: this.#clock.now(),
      capabilities: this.#connection.transport.capabilities,
      producerName: this.#producerName,
      validate: this.#validate,
    });
  }

  async #outcome<T>(
    name: string,
    topic: string | EventContract<T>,
    data: T,
    options: PublishOptions<T>,
    batch: BatchSpans | undefined,
  ): Promise<PublishOutcome> {
    try {
      const message = this.#message(name, topic, data, options);
      return { status: 'fulfilled', value: await this.#send(name, this.#profile, message, options.signal, batch) };
    } catch (error) {
      return { status: 'rejected', error: PulsarError.from(error, name) };
    }
  }

  async #send(
    topic: string,
    profile: ProducerProfile,
    message: OutgoingMessage,
    signal: AbortSignal | undefined,
    batch?: BatchSpans,
  ): Promise<PublishResult> {
    if (this.#closed) {
      throw new PulsarClosedError('publisher', topic);
    }
    const watched = this.#telemetry.startSend(topic, message, this.#nowMs, batch);
    let code: string | undefined;
    try {
      const id = await this.#sendOnce(topic, profile, watched?.message ?? message, signal);
      return { topic, messageId: id.toString() };
    } catch (cause) {
      const error = PulsarError.from(cause, topic);
      code = error.code;
      throw error;
    } finally {
      if (watched !== undefined) {
        this.#telemetry.endSend(watched, this.#nowMs, code);
      }
    }
  }

  async #sendOnce(
    topic: string,
    profile: ProducerProfile,
    message: OutgoingMessage,
    signal: AbortSignal | undefined,
  ): Promise<MessageId> {
    let used: TransportProducer | undefined;
    const send = (): Promise<MessageId> =>
      this.#pool.use(topic, profile, (producer) => {
        used = producer;
        return producer.send(message, signal);
      });
    try {
      return await send();
    } catch (error) {
      if (!PulsarError.is(error) || error.kind !== 'recreate' || error.ambiguous || this.#closed) {
        throw error;
      }
      if (used !== undefined) {
        this.#pool.discard(topic, profile, used);
      }
      return send();
    }
  }
}

function isRejected(outcome: PublishOutcome): outcome is Extract<PublishOutcome, { readonly status: 'rejected' }> {
  return outcome.status === 'rejected';
}

function profileOf(options: ProducerDefaults): ProducerProfile {
  return Object.freeze({
    ...(options.producerName === undefined ? {} : { producerName: options.producerName }),
    batching: Object.freeze({
      enabled: options.batching,
      maxMessages: options.batchMaxMessages,
      maxBytes: options.batchMaxBytes,
      maxDelayMs: options.batchMaxDelayMs,
    }),
    maxPendingMessages: options.maxPendingMessages,
    maxPendingBytes: options.maxPendingBytes,
    compression: options.compression,
    sendTimeoutMs: options.sendTimeoutMs,
  });
}

/** Unbatched and without a name: a second producer of the name would be refused. */
function directProfileOf(profile: ProducerProfile): ProducerProfile {
  const { batching, maxPendingMessages, maxPendingBytes, compression, sendTimeoutMs } = profile;
  return Object.freeze({
    batching: Object.freeze({ ...batching, enabled: false }),
    maxPendingMessages,
    maxPendingBytes,
    compression,
    sendTimeoutMs,
  });
}
