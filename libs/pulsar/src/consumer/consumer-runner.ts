import { Logger } from '@nestjs/common';
import { AutoConcurrentPartitionedQueue } from '@smartpulse/batch';
import type { Clock, Random } from '@smartpulse/resilience';
import type { DeclaredEvent, DocumentedHandler } from '../asyncapi/async-api-document.js';
import { LetterKeeper } from '../dead-letters/letter-keeper.js';
import type { PulsarConnection } from '../connection/pulsar.connection.js';
import { tryWithin } from '../connection/startup.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import type { PulsarPublisher } from '../producer/pulsar.publisher.js';
import type { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerSeries } from '../telemetry/series.js';
import type { IncomingMessage, SubscriptionType } from '../transport/pulsar.transport.js';
import { BatchDelivery } from './batch/batch-delivery.js';
import type { BatchDefaults, BatchHandler } from './batch/batch-options.js';
import { KeyedBatches } from './batch/keyed-batches.js';
import type { AnsweringHandler, ConsumerState, ConsumerStats, PulsarConsumerHandle } from './consumer-options.js';
import { linksOf } from './consumer-links.js';
import { Deferred } from './deferred.js';
import { MessageSettler, type SettlementCounts, type TakenMessage } from './message-settler.js';
import { MessageVerdict } from './message-verdict.js';
import type { PayloadReader } from './payload-reader.js';
import { isOrdered, type ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { RunGate } from './run-gate.js';
import { SingleDelivery } from './single-delivery.js';
import type { LinkedConsumer } from './subscription-link.js';
import type { SubscriptionLinks } from './subscription-links.js';

/** What every runner of an app shares. */
export interface RunnerParts {
  readonly connection: PulsarConnection;
  readonly publisher: PulsarPublisher;
  readonly telemetry: PulsarTelemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/** What is done with messages: one by one, or many at once. */
export type RunnerWork<T> =
  | { readonly kind: 'single'; readonly handler: AnsweringHandler<T> }
  | { readonly kind: 'batch'; readonly handler: BatchHandler<T>; readonly batch: BatchDefaults };

/** Where messages wait for their turn, key by key. */
interface Lanes {
  /** Whether a handler is free for which there is nothing to do. */
  readonly hungry: boolean;
  tryEnqueue(lane: string, taken: TakenMessage): boolean;
  pause(): void;
  resume(): void;
  drain(options: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<{ readonly interrupted: number }>;
}

/** What one runner is made of. */
export interface RunnerOptions<T> {
  readonly id: string;
  /** Names the handler in headers and logs: `Mailer.mail`. */
  readonly handlerName: string;
  readonly consumer: ResolvedConsumerOptions;
  /** What it handles, where that is told by a contract. */
  readonly event: DeclaredEvent | undefined;
  readonly reader: PayloadReader<T>;
  readonly work: RunnerWork<T>;
  readonly onClosed: () => void;
  /** Told when somebody waits for the subscription. */
  readonly onAwaited: () => void;
  /** Told when somebody asks for the subscription; settles when it stands. */
  readonly onStart: () => Promise<void>;
}

/** Of a drain whose time is told later: the longest that a timer can wait, milliseconds. */
const NO_LIMIT_MS = 2_147_483_647;

/** Takes messages as far as its permits go, runs the handler in a lane per key, and settles. */
export class ConsumerRunner<T> implements PulsarConsumerHandle {
  readonly #options: RunnerOptions<T>;
  readonly #parts: RunnerParts;
  readonly #consumer: ResolvedConsumerOptions;
  readonly #logger = new Logger('PulsarConsumer');
  readonly #queue: Lanes;
  readonly #links: SubscriptionLinks;
  readonly #gate: RunGate;
  readonly #settler: MessageSettler;
  readonly #verdict: MessageVerdict;
  readonly #delivery: { readonly running: number; close(): void };
  readonly #series: ConsumerSeries;
  readonly #counts: SettlementCounts = {
    received: 0,
    acked: 0,
    retried: 0,
    nacked: 0,
    deadLettered: 0,
    failed: 0,
    outages: 0,
    trips: 0,
    unsettled: 0,
    duplicates: 0,
    inFlight: 0,
  };
  readonly #subscribed = new Deferred();
  #status: 'waiting' | 'consuming' | 'stopping' | 'closed' = 'waiting';
  #paused = false;
  #deletes = false;
  readonly #timeUp = new AbortController();
  #drained: Promise<number> | undefined;
  #finishing: Promise<number> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RunnerOptions<T>, parts: RunnerParts) {
    const { consumer, id } = options;
    const { clock, random } = parts;
    const window = consumer.concurrency * (consumer.batch?.maxMessages ?? 1) + consumer.prefetch;
    this.#options = options;
    this.#parts = parts;
    this.#consumer = consumer;
    this.#series = parts.telemetry.addConsumer(consumer.topic, consumer.subscription);
    this.#links = linksOf({
      id,
      consumer,
      window,
      heldBack: (out) => this.#heldBack(out),
      connection: parts.connection,
      clock,
      random,
      logger: this.#logger,
      onMessage: (message, from, isRetry) => this.#take(message, from, isRetry),
      onConnected: () => this.#onConnected(),
    });
    this.#gate = new RunGate({ id, consumer, counts: this.#counts, clock, random, logger: this.#logger });
    this.#settler = new MessageSettler({
      id,
      handler: options.handlerName,
      consumer,
      publisher: parts.publisher,
      keeper:
        consumer.deadLetter &&
        new LetterKeeper(
          parts.connection.transport,
          consumer.deadLetter.topic,
          consumer.deadLetter.initialSubscription,
        ),
      links: this.#links,
      counts: this.#counts,
      telemetry: parts.telemetry,
      series: this.#series,
      clock,
      random,
      logger: this.#logger,
    });
    this.#verdict = new MessageVerdict({
      consumer,
      settler: this.#settler,
      links: this.#links,
      counts: this.#counts,
      random,
    });
    const { work } = options;
    if (work.kind === 'batch') {
      const delivery = new BatchDelivery({ ...this.#handling(), handler: work.handler });
      this.#delivery = delivery;
      this.#queue = this.#batches(delivery, work.batch);
    } else {
      const delivery = new SingleDelivery({ ...this.#handling(), handler: work.handler });
      this.#delivery = delivery;
      this.#queue = this.#singles(delivery, window);
    }
  }

  get id(): string {
    return this.#options.id;
  }

  get handlerName(): string {
    return this.#options.handlerName;
  }

  get topic(): string {
    return this.#consumer.topic;
  }

  get subscription(): string {
    return this.#consumer.subscription;
  }

  get type(): SubscriptionType {
    return this.#consumer.type;
  }

  get concurrency(): number {
    return this.#consumer.concurrency;
  }

  /** For the document of what the app receives. */
  get described(): DocumentedHandler {
    const { batch, deadLetter, durable, initialPosition, retryTopic, subscription, topic, type } = this.#consumer;
    const { event, handlerName } = this.#options;
    return {
      handlerName,
      event,
      topic,
      subscription,
      type,
      initialPosition,
      durable,
      batch: batch !== undefined,
      retryTopic,
      deadLetterTopic: deadLetter?.topic,
    };
  }

  get retryTopic(): string | undefined {
    return this.#consumer.retryTopic;
  }

  get deadLetterTopic(): string | undefined {
    return this.#consumer.deadLetter?.topic;
  }

  get state(): ConsumerState {
    if (this.#status !== 'consuming') {
      return { status: this.#status };
    }
    if (this.#links.reconnectAttempt > 0) {
      return { status: 'reconnecting', attempt: this.#links.reconnectAttempt };
    }
    const sinceMs = this.#gate.downSinceMs;
    if (sinceMs !== undefined) {
      return { status: 'outage', sinceMs };
    }
    const trippedMs = this.#gate.trippedSinceMs;
    if (trippedMs !== undefined && !this.#paused) {
      return { status: 'tripped', sinceMs: trippedMs };
    }
    return this.#paused ? { status: 'paused' } : { status: 'consuming' };
  }

  stats(): ConsumerStats {
    return { ...this.#counts, waiting: Math.max(0, this.#counts.inFlight - this.#delivery.running) };
  }

  whenSubscribed(): Promise<void> {
    this.#options.onAwaited();
    return this.#subscribed.promise;
  }

  get autoStart(): boolean {
    return this.#consumer.autoStart;
  }

  start(): Promise<void> {
    return this.#options.onStart();
  }

  /**
   * Makes the subscription and begins to consume, as the startup policy says: with `continue` it resolves in any case, and the subscription is made in
   * the background.
   */
  async subscribe(): Promise<void> {
    const { policy, timeoutMs } = this.#consumer.startup;
    const { clock, random } = this.#parts;
    try {
      await tryWithin(
        {
          clock,
          random,
          timeoutMs: policy === 'retry' ? timeoutMs : 0,
          isWanted: () => this.#links.open && policy === 'retry',
          onFailed: (error, attempt) =>
            this.#logger.warn(`${this.id}: attempt ${attempt} to subscribe failed (${messageOf(error)}).`),
        },
        () => this.#links.connect(),
      );
    } catch (error) {
      if (policy !== 'continue' || !this.#links.open) {
        throw error;
      }
      this.#logger.warn(`${this.id}: could not subscribe (${messageOf(error)}); it goes on trying.`);
      this.#begin();
      this.#links.keepTrying();
      return;
    }
    this.#begin();
    this.#subscribed.resolve();
  }

  /** A subscription that was made in the background; the last of them is what others wait for. */
  #onConnected(): void {
    if (this.#links.reconnectAttempt === 0) {
      this.#subscribed.resolve();
    }
  }

  #begin(): void {
    if (this.#status === 'waiting') {
      this.#status = 'consuming';
    }
  }

  /** Tells those who wait for the subscription why there is none. */
  refuse(error: unknown): void {
    this.#subscribed.reject(PulsarError.from(error, this.topic));
  }

  pause(): void {
    this.#paused = true;
    this.#links.pause();
    this.#queue.pause();
  }

  resume(): void {
    if (this.#links.open) {
      this.#paused = false;
      this.#queue.resume();
      this.#links.resume();
    }
  }

  /** Takes nothing more, starts nothing more, ends waits. Running handlers go on. */
  stopIntake(): void {
    if (this.#status !== 'closed') {
      this.#status = 'stopping';
    }
    // Has no effect when it stands already.
    this.#subscribed.reject(new PulsarClosedError('consumer', this.topic));
    this.#links.stopIntake();
    this.#queue.pause();
    this.#gate.stop();
    this.#drained ??= this.#drain();
  }

  /** Waits for running handlers; answers how many were still running when the time was used up. */
  finish(timeoutMs: number, signal?: AbortSignal): Promise<number> {
    this.stopIntake();
    this.#finishing ??= this.#finish(timeoutMs, signal);
    return this.#finishing;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close(() => (this.#consumer.deleteOnClose ? this.#endSubscription() : this.#links.close()));
    return this.#closing;
  }

  unsubscribe(): Promise<void> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    // Who has left a subscription cannot delete it.
    this.#deletes = true;
    this.#closing = this.#close(() => this.#links.unsubscribe());
    return this.#closing;
  }

  async #finish(timeoutMs: number, signal: AbortSignal | undefined): Promise<number> {
    const timeUp = (): void => this.#timeUp.abort();
    const timer = this.#parts.clock.setTimer(timeoutMs, timeUp);
    signal?.addEventListener('abort', timeUp, { once: true });
    if (signal?.aborted === true) {
      timeUp();
    }
    try {
      return (await this.#drained) ?? 0;
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', timeUp);
    }
  }

  /**
   * As soon as nothing runs and nothing is to be acknowledged, the subscription is left, whatever else of the app has yet to end: what was received and not
   * begun, and what the broker still sends for permits that it has, goes to other replicas. Not one by one, and sooner: a broker takes back whole entries, so
   * that another replica would be given what is being handled here of the same batch.
   */
  async #drain(): Promise<number> {
    const { interrupted } = await this.#queue.drain({ timeoutMs: NO_LIMIT_MS, signal: this.#timeUp.signal });
    if (interrupted === 0 && !this.#consumer.deleteOnClose && !this.#deletes) {
      void this.#leaveEarly();
    }
    return interrupted;
  }

  async #leaveEarly(): Promise<void> {
    try {
      await this.#links.close();
    } catch (error) {
      this.#logger.warn(`${this.id}: could not be closed (${messageOf(error)}).`);
    }
  }

  async #close(leave: () => Promise<void>): Promise<void> {
    try {
      await this.finish(this.#consumer.drainTimeoutMs);
      this.#delivery.close();
      await leave();
    } finally {
      this.#status = 'closed';
      this.#parts.telemetry.removeConsumer(this.#series);
      this.#options.onClosed();
    }
  }

  /** What handlers of one message and of many need alike. */
  #handling() {
    return {
      consumer: this.#consumer,
      reader: this.#options.reader,
      settler: this.#settler,
      verdict: this.#verdict,
      gate: this.#gate,
      telemetry: this.#parts.telemetry,
      series: this.#series,
      clock: this.#parts.clock,
    };
  }

  #singles(delivery: SingleDelivery<T>, window: number): Lanes {
    const { concurrency, maxHeldBack, retryTopic } = this.#consumer;
    return new AutoConcurrentPartitionedQueue<string, TakenMessage>(
      {
        name: this.id,
        concurrency,
        // The windows with what is held back, and handlers whose message is settled and which have yet to return.
        capacity: (window + maxHeldBack) * (retryTopic === undefined ? 1 : 2) + concurrency,
        onHungry: () => this.#links.topUp(),
        handler: (taken, { attempt, signal }) => {
          if (attempt === 1) {
            this.#settler.recall(taken);
          }
          return delivery.handle(taken, signal);
        },
        onError: (error, taken) => this.#onDefect(error, taken),
      },
      { clock: this.#parts.clock },
    );
  }

  #batches(delivery: BatchDelivery<T>, batch: BatchDefaults): Lanes {
    return new KeyedBatches<TakenMessage>({
      name: this.id,
      clock: this.#parts.clock,
      concurrency: this.#consumer.concurrency,
      ...batch,
      bytesOf: ({ message }) => message.payload.byteLength,
      runsAlone: (taken) => delivery.runsAlone(taken),
      run: (taken, signal) => delivery.run(taken, signal),
      onHungry: () => this.#links.topUp(),
      onError: (error, taken) => this.#onDefect(error, taken),
    });
  }

  /**
   * While a handler is free, what waits behind another message of its key, for its next attempt or for the answer to its acknowledgement takes no place of the
   * window: a slow key would else take them all, and nothing of the others would come.
   */
  #heldBack(out: number): number {
    return this.#queue.hungry ? Math.max(0, Math.min(this.#consumer.maxHeldBack, out - this.#delivery.running)) : 0;
  }

  /** What cannot be deleted any more is left to the broker; the consumer closes all the same. */
  async #endSubscription(): Promise<void> {
    try {
      await this.#links.unsubscribe();
    } catch (error) {
      this.#logger.warn(`${this.id}: subscription ${this.subscription} could not be deleted (${messageOf(error)}).`);
    }
  }

  #take(message: IncomingMessage, from: LinkedConsumer, isRetry: boolean): void {
    const taken = this.#settler.take(message, from, isRetry);
    if (!this.#queue.tryEnqueue(this.#laneOf(message), taken)) {
      // Cannot happen while permits bound the window; rather again than lost.
      this.#settler.nack(taken, this.#consumer.backoff.initialMs);
    }
  }

  /** Key by key; messages without one each for itself. Exclusive and Failover promise the order of the whole topic. */
  #laneOf(message: IncomingMessage): string {
    if (isOrdered(this.#consumer.type)) {
      return '';
    }
    // A key that looks like an identifier would share a lane with that message, and come after it: no harm.
    return message.orderingKey ?? message.key ?? `\0${message.id.toString()}`;
  }

  /** The queue's handler threw, which is a defect of ours or of a callback: the message comes again. */
  #onDefect(error: unknown, taken: TakenMessage): void {
    this.#logger.error(`${this.id}: settling failed (${messageOf(error)}); the message is given back.`);
    this.#settler.nack(taken, this.#consumer.backoff.maxMs);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
