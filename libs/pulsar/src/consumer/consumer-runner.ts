import { Logger } from '@nestjs/common';
import { AutoConcurrentPartitionedQueue, type RetryLater } from '@smartpulse/batch';
import type { Clock, Random } from '@smartpulse/resilience';
import type { DeclaredEvent, DocumentedHandler } from '../asyncapi/async-api-document.js';
import type { PulsarConnection } from '../connection/pulsar.connection.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import type { PulsarPublisher } from '../producer/pulsar.publisher.js';
import type { ConsumerSeries, PulsarTelemetry } from '../pulsar.telemetry.js';
import type { IncomingMessage, SubscriptionType } from '../transport/pulsar.transport.js';
import { BatchDelivery } from './batch/batch-delivery.js';
import type { BatchDefaults, BatchHandler } from './batch/batch-options.js';
import { KeyedBatches } from './batch/keyed-batches.js';
import type { ConsumerState, ConsumerStats, MessageHandler, PulsarConsumerHandle } from './consumer-options.js';
import { Deferred } from './deferred.js';
import { MessageSettler, type SettlementCounts, type TakenMessage } from './message-settler.js';
import { MessageInvoker, type RunResult } from './message-invoker.js';
import { MessageVerdict } from './message-verdict.js';
import type { PayloadReader } from './payload-reader.js';
import { isOrdered, type ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { FREE_PASS, RunGate, type RunPass } from './run-gate.js';
import { type LinkedConsumer, SubscriptionLink } from './subscription-link.js';
import { SubscriptionLinks } from './subscription-links.js';

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
  | { readonly kind: 'single'; readonly handler: MessageHandler<T> }
  | { readonly kind: 'batch'; readonly handler: BatchHandler<T>; readonly batch: BatchDefaults };

/** Where messages wait for their turn, key by key. */
interface Lanes {
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
}

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
  readonly #invoker: { readonly running: number; close(): void };
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
    inFlight: 0,
  };
  readonly #subscribed = new Deferred();
  #status: 'waiting' | 'consuming' | 'stopping' | 'closed' = 'waiting';
  #paused = false;
  #finishing: Promise<number> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RunnerOptions<T>, parts: RunnerParts) {
    const { consumer, id } = options;
    const { clock, random } = parts;
    const window = consumer.concurrency + consumer.prefetch;
    this.#options = options;
    this.#parts = parts;
    this.#consumer = consumer;
    this.#series = parts.telemetry.addConsumer(consumer.topic, consumer.subscription);
    this.#links = new SubscriptionLinks([
      this.#linkTo(consumer.topic, consumer.type, window, false),
      ...(consumer.retryTopic === undefined ? [] : [this.#linkTo(consumer.retryTopic, 'Shared', window, true)]),
    ]);
    this.#gate = new RunGate({ id, consumer, counts: this.#counts, clock, random, logger: this.#logger });
    this.#settler = new MessageSettler({
      id,
      handler: options.handlerName,
      consumer,
      publisher: parts.publisher,
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
      this.#invoker = delivery;
      this.#queue = this.#batches(delivery, work.batch);
    } else {
      const invoker = new MessageInvoker({ ...this.#handling(), handler: work.handler });
      this.#invoker = invoker;
      this.#queue = this.#singles(invoker, window);
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
    const { deadLetter, durable, initialPosition, subscription, topic, type } = this.#consumer;
    const { event, handlerName } = this.#options;
    return {
      handlerName,
      event,
      topic,
      subscription,
      type,
      initialPosition,
      durable,
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
    return { ...this.#counts, waiting: Math.max(0, this.#counts.inFlight - this.#invoker.running) };
  }

  whenSubscribed(): Promise<void> {
    this.#options.onAwaited();
    return this.#subscribed.promise;
  }

  /** Makes the subscription and begins to consume. */
  async start(): Promise<void> {
    try {
      await this.#parts.connection.ready();
      await this.#links.connect();
    } catch (error) {
      this.#subscribed.reject(PulsarError.from(error, this.topic));
      throw error;
    }
    if (this.#status === 'waiting') {
      this.#status = 'consuming';
      this.#subscribed.resolve();
    }
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
  }

  /** Waits for running handlers; answers how many were still running when the time was used up. */
  finish(timeoutMs: number, signal?: AbortSignal): Promise<number> {
    this.stopIntake();
    this.#finishing ??= this.#queue.drain({ timeoutMs, signal }).then((report) => report.interrupted);
    return this.#finishing;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close(() => this.#links.close());
    return this.#closing;
  }

  unsubscribe(): Promise<void> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    this.#closing = this.#close(() => this.#links.unsubscribe());
    return this.#closing;
  }

  async #close(leave: () => Promise<void>): Promise<void> {
    await this.finish(this.#consumer.drainTimeoutMs);
    this.#invoker.close();
    try {
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

  #singles(invoker: MessageInvoker<T>, window: number): Lanes {
    const { concurrency } = this.#consumer;
    return new AutoConcurrentPartitionedQueue<string, TakenMessage>(
      {
        name: this.id,
        concurrency,
        // The windows, and handlers whose message is settled and which have yet to return.
        capacity: window * (this.#consumer.retryTopic === undefined ? 1 : 2) + concurrency,
        handler: (taken, { attempt, signal }) => {
          if (attempt === 1) {
            this.#settler.recall(taken);
          }
          return this.#handle(invoker, taken, signal);
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
      onError: (error, taken) => this.#onDefect(error, taken),
    });
  }

  /** What waits on a retry topic has been there before: it begins at its earliest, and in no order. */
  #linkTo(topic: string, type: SubscriptionType, window: number, isRetry: boolean): SubscriptionLink {
    const { subscription, initialPosition, durable } = this.#consumer;
    const { clock, connection, random } = this.#parts;
    const { id } = this.#options;
    return new SubscriptionLink({
      clock,
      random,
      window,
      subscribe: (listener) =>
        connection.transport.subscribe(
          {
            topic,
            subscription,
            type,
            initialPosition: isRetry ? 'earliest' : initialPosition,
            durable,
            expectedPermits: window,
          },
          listener,
        ),
      onMessage: (message, from) => this.#take(message, from, isRetry),
      onLost: (error) => this.#logger.warn(`${id}: the consumer was closed (${error.message}) and is made anew.`),
      onReconnectFailed: (error, attempt) =>
        this.#logger.warn(`${id}: attempt ${attempt} to subscribe again failed (${messageOf(error)}).`),
      onReconnected: () => this.#logger.log(`${id}: subscribed again.`),
    });
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

  #handle(
    invoker: MessageInvoker<T>,
    taken: TakenMessage,
    stop: AbortSignal,
  ): Promise<RetryLater | void> | RetryLater | void {
    const settled = this.#verdict.withoutRun(taken);
    return settled === undefined ? this.#attempt(invoker, taken, stop) : settled.answer;
  }

  /** Waits for nothing that is there already: a handler that answers at once costs no turn of its own. */
  #attempt(
    invoker: MessageInvoker<T>,
    taken: TakenMessage,
    stop: AbortSignal,
  ): Promise<RetryLater | void> | RetryLater | void {
    if (this.#gate.closed) {
      return this.#attemptUntilUp(invoker, taken, stop, undefined);
    }
    const result = invoker.run(taken.message, taken.attempts + 1, stop);
    if (result instanceof Promise || result.status === 'rejected') {
      return this.#attemptUntilUp(invoker, taken, stop, result);
    }
    this.#gate.endedOne(FREE_PASS, result);
    return this.#verdict.conclude(taken, result);
  }

  /** @param begun the handler run that is under way already. */
  async #attemptUntilUp(
    invoker: MessageInvoker<T>,
    taken: TakenMessage,
    stop: AbortSignal,
    begun: RunResult | Promise<RunResult> | undefined,
  ): Promise<RetryLater | void> {
    for (let running = begun; ; running = undefined) {
      let pass: RunPass | undefined = FREE_PASS;
      if (running === undefined) {
        pass = this.#gate.closed ? await this.#gate.enter() : pass;
        if (pass === undefined || taken.from.lost) {
          this.#gate.leave(pass);
          return this.#settler.abandon(taken);
        }
        running = invoker.run(taken.message, taken.attempts + 1, stop);
      }
      const result = running instanceof Promise ? await running : running;
      if (!this.#gate.endedOne(pass, result)) {
        const settling = this.#verdict.conclude(taken, result);
        return settling instanceof Promise ? await settling : settling;
      }
    }
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
