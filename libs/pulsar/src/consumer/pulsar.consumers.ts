import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, ConfigurationError, Random, type Timer } from '@smartpulse/resilience';
import type { DocumentedHandler } from '../asyncapi/async-api-document.js';
import { PulsarAdmin } from '../admin/pulsar.admin.js';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { tryWithin } from '../connection/startup.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';
import { asError, PulsarClosedError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions, type StartupOptions } from '../pulsar.options.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerOptions, MessageHandler, PulsarConsumerHandle } from './consumer-options.js';
import { BATCH_HANDLER_DEFAULTS, type BatchConsumerOptions, type BatchHandler } from './batch/batch-options.js';
import { ConsumerRunner, type RunnerWork } from './consumer-runner.js';
import { Deferred, ignoreUnasked } from './deferred.js';
import { idempotentHandler } from '../dedupe/idempotent-handler.js';
import { manualHandler } from './manual-settlement.js';
import { type PatternRegistration, type PulsarPatternHandle, resolvePattern } from './pattern/pattern-options.js';
import { PatternSubscription } from './pattern/pattern-subscription.js';
import { PayloadReader } from './payload-reader.js';
import { PulsarRegistry } from './pulsar.registry.js';
import { type ResolvedConsumerOptions, resolveConsumerOptions } from './resolve-consumer-options.js';

/** A consumer with the handler's name, for the start log. */
export type NamedConsumer = PulsarConsumerHandle & {
  readonly handlerName: string;
  readonly described: DocumentedHandler;
};

/** What is registered: a handler of one message, or one of many. */
export type Registration<T> =
  | readonly [options: ConsumerOptions<T>, handler: MessageHandler<T>]
  | readonly [options: BatchConsumerOptions<T>, handler: BatchHandler<T>];

/** How long a handler without a time limit is taken to run at most before its message is another's, in milliseconds. */
const LONGEST_RUN_MS = 3_600_000;
/** How long somebody may wait for the app's start before the log asks why, in milliseconds. */
const START_WATCH_MS = 10_000;

interface Stoppable {
  readonly autoStart: boolean;
  subscribe(): Promise<void>;
  refuse(error: unknown): void;
  stopIntake(): void;
  finish(timeoutMs: number, signal?: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/**
 * Registers handlers by code; `@PulsarSubscribe` uses the same.
 *
 * @example
 * ```ts
 * async onModuleInit(): Promise<void> {
 *   await this.consumers.register({ topic: 'orders', subscription: 'billing', type: 'Key_Shared', concurrency: 16 }, bill);
 * }
 * ```
 */
@Injectable()
export class PulsarConsumers implements OnApplicationBootstrap {
  readonly #logger = new Logger(PulsarConsumers.name);
  readonly #options: ResolvedPulsarOptions;
  readonly #registry: PulsarRegistry;
  readonly #parts: {
    readonly connection: PulsarConnection;
    readonly publisher: PulsarPublisher;
    readonly telemetry: PulsarTelemetry;
    readonly clock: Clock;
    readonly random: Random;
  };
  readonly #consumers = new Set<NamedConsumer & Stoppable>();
  readonly #patterns = new Set<PatternSubscription>();
  readonly #admin: PulsarAdmin;
  readonly #instanceId: string;
  /** Consumers with `autoStart: false` whose start was asked for. */
  readonly #starting = new WeakMap<object, Promise<void>>();
  readonly #subscribing = new Set<Promise<unknown>>();
  /** The decorated handlers are registered and subscribed. */
  readonly #complete = new Deferred();
  /** The bootstrap began: subscriptions may be made. */
  readonly #bootstrap = new Deferred();
  /** Everything registered before the bootstrap is subscribed. */
  readonly #started = new Deferred();
  #startWatch: Timer | undefined;
  #bootstrapped = false;
  #stopping = false;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarPublisher) publisher: PulsarPublisher,
    @Inject(PulsarRegistry) registry: PulsarRegistry,
    @Inject(PulsarAdmin) admin: PulsarAdmin,
    @Inject(PulsarTelemetry) telemetry: PulsarTelemetry,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(Random) random: Random,
  ) {
    this.#options = options;
    this.#registry = registry;
    this.#admin = admin;
    this.#instanceId = options.instanceId ?? Buffer.from(random.bytes(6)).toString('hex');
    this.#parts = { connection, publisher, telemetry, clock, random };
  }

  /** The consumers that are not closed, with their handlers' names. */
  get all(): readonly NamedConsumer[] {
    return [...this.#consumers];
  }

  /** Whether every consumer has made its subscription. */
  get subscribed(): boolean {
    return this.#bootstrapped && this.#subscribing.size === 0;
  }

  /**
   * Registers a handler. Before the app's bootstrap the consumer is answered at once, in state `waiting`, and subscribed in the bootstrap, whose
   * failure fails the start; its `whenSubscribed()` tells when. After it, the subscription is made at once.
   *
   * @returns the consumer: before the bootstrap at once, after it when its subscription exists and it has begun to consume.
   * @throws ConfigurationError that names the handler when an option is wrong; PulsarError when the subscription cannot be made.
   */
  register<T>(options: ConsumerOptions<T>, handler: MessageHandler<T>): Promise<PulsarConsumerHandle>;
  /** As above, for a handler that gets several messages at once. */
  register<T>(options: BatchConsumerOptions<T>, handler: BatchHandler<T>): Promise<PulsarConsumerHandle>;
  register<T>(...registration: Registration<T>): Promise<PulsarConsumerHandle> {
    const { name } = registration[1];
    return this.registerNamed('PulsarConsumers.register', name === '' ? 'handler' : name, ...registration);
  }

  /**
   * @internal
   * @param owner names the registration in configuration errors.
   */
  async registerNamed<T>(
    owner: string,
    handlerName: string,
    ...registration: Registration<T>
  ): Promise<PulsarConsumerHandle> {
    const runner = this.#create(owner, handlerName, registration);
    if (runner.autoStart) {
      const subscribing = this.#track(this.#subscribe(runner));
      if (this.#bootstrapped) {
        await subscribing;
      }
    }
    return runner;
  }

  /**
   * Registers a handler on every topic that a pattern matches: those that are there at the start, and those that come later, from the beginning of what they hold
   * then. A topic that is deleted is left.
   *
   * @returns before the bootstrap at once, after it when all that match are consumed.
   * @throws ConfigurationError that names the handler when an option is wrong, or where topics cannot be listed; PulsarError when that fails, unless the
   * handler's `startup` says otherwise.
   */
  registerPattern<T>(...registration: PatternRegistration<T>): Promise<PulsarPatternHandle> {
    const { name } = registration[1];
    return this.registerPatternNamed(
      'PulsarConsumers.registerPattern',
      name === '' ? 'handler' : name,
      ...registration,
    );
  }

  /** @internal */
  async registerPatternNamed<T>(
    owner: string,
    handlerName: string,
    ...registration: PatternRegistration<T>
  ): Promise<PulsarPatternHandle> {
    const { connection, clock } = this.#parts;
    const pattern = resolvePattern(owner, registration, connection.namespace);
    const { startup, deadLetter, retryTopic } = this.#resolve(
      owner,
      pattern.on(`persistent://${pattern.namespace}/topic`)[0],
    );
    const { transport } = connection;
    if (!transport.capabilities.topicLists && !this.#admin.available) {
      throw new ConfigurationError(
        owner,
        [{ option: 'topicsPattern', problem: `the ${transport.name} transport cannot list topics` }],
        'Set adminUrl of PulsarModule.forRoot, or use pulsar://.',
      );
    }
    const { namespace } = pattern;
    const subscription = new PatternSubscription({
      name: handlerName,
      clock,
      logger: this.#logger,
      intervalMs: pattern.intervalMs,
      list: async () =>
        transport.capabilities.topicLists ? transport.listTopics(namespace) : this.#admin.topics(namespace),
      matches: (topic) =>
        pattern.matches(topic) && topic !== deadLetter?.topic && topic !== retryTopic && !this.#isAside(topic),
      // What was published before it was found is to be handled, too.
      subscribe: async (topic, isLate) => {
        const runner = this.#create(owner, handlerName, pattern.on(topic, isLate ? 'earliest' : undefined));
        if (runner.autoStart) {
          // Who waits for the start waits for the first round as a whole, and for no later one.
          await this.#subscribe(runner);
        }
        return runner;
      },
      onClosed: (closed) => this.#patterns.delete(closed),
    });
    this.#patterns.add(subscription);
    const begun = this.#track(this.#begin(subscription, startup));
    if (this.#bootstrapped) {
      await begun;
    }
    return subscription;
  }

  /** What some handler gave up or repeats goes there: no pattern is meant to bring it back by accident. */
  #isAside(topic: string): boolean {
    return this.all.some(({ deadLetterTopic, retryTopic }) => topic === deadLetterTopic || topic === retryTopic);
  }

  async #begin(pattern: PatternSubscription, { policy, timeoutMs }: StartupOptions): Promise<void> {
    if (!this.#bootstrapped) {
      await this.#bootstrap.promise;
    }
    const { clock, random } = this.#parts;
    const attempts = {
      clock,
      random,
      timeoutMs: policy === 'retry' ? timeoutMs : 0,
      isWanted: () => policy === 'retry' && !this.#stopping,
      onFailed: (error: unknown, attempt: number) =>
        this.#logger.warn(`Attempt ${attempt} to find the topics of a pattern failed: ${String(error)}`),
    };
    try {
      await pattern.begin(policy !== 'continue', (round) => tryWithin(attempts, round));
    } catch (error) {
      // Nobody has a handle of those that were made.
      await pattern.close();
      throw error;
    }
  }

  /** The start of the app waits for it, if it is not over. */
  #track(subscribing: Promise<void>): Promise<void> {
    const tracked = subscribing.finally(() => this.#subscribing.delete(tracked));
    this.#subscribing.add(tracked);
    ignoreUnasked(tracked);
    return tracked;
  }

  /**
   * Resolves when the app has started and every handler registered until then has its subscription. Do not await it in `onModuleInit`: the
   * app's start would wait for itself, and after ten seconds the log says so.
   *
   * @throws PulsarError when a subscription could not be made.
   */
  async whenSubscribed(): Promise<void> {
    this.#watchStart();
    await Promise.all([this.#complete.promise, this.#started.promise]);
    await Promise.all(this.#subscribing);
  }

  /** Lets everything registered so far subscribe, and what comes later at once. Fails the start when a subscription fails. */
  async onApplicationBootstrap(): Promise<void> {
    this.#bootstrapped = true;
    this.#startWatch?.cancel();
    this.#bootstrap.resolve();
    try {
      await Promise.all(this.#subscribing);
      this.#started.resolve();
    } catch (error) {
      this.#started.reject(asError(error));
      throw error;
    }
  }

  /** @internal The decorated handlers are registered too, or `error` kept them from it. */
  completed(error?: Error): void {
    if (error === undefined) {
      this.#complete.resolve();
    } else {
      this.#complete.reject(error);
    }
  }

  /** @internal Takes no more messages and starts no more handlers. */
  stopIntake(): void {
    this.#stopping = true;
    this.#startWatch?.cancel();
    for (const wait of [this.#bootstrap, this.#complete, this.#started]) {
      wait.reject(new PulsarClosedError('consumers'));
    }
    this.#patterns.forEach((pattern) => pattern.stop());
    for (const consumer of this.#consumers) {
      consumer.stopIntake();
    }
  }

  /** @internal Waits for running handlers; answers how many were abandoned. */
  async finish(timeoutMs: number, signal: AbortSignal): Promise<number> {
    const left = await Promise.all([...this.#consumers].map((consumer) => consumer.finish(timeoutMs, signal)));
    return left.reduce((sum, count) => sum + count, 0);
  }

  /** @internal Gives back what is not acknowledged and closes every consumer. */
  async close(): Promise<void> {
    this.stopIntake();
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
  }

  /** Somebody waits for the start: says so when it is that which keeps the app from starting. */
  #watchStart(): void {
    if (this.#bootstrapped || this.#stopping) {
      return;
    }
    this.#startWatch ??= this.#parts.clock.setTimer(
      START_WATCH_MS,
      () =>
        this.#logger.error(
          `whenSubscribed() has been waited for ${START_WATCH_MS / 1_000} s and the app has not started. Subscriptions are made when every onModuleInit is done: do not await it there.`,
        ),
      { unref: true },
    );
  }

  #create<T>(owner: string, handlerName: string, registration: Registration<T>): NamedConsumer & Stoppable {
    const [options] = registration;
    if (this.#stopping) {
      throw new PulsarClosedError('consumers');
    }
    const consumer = this.#resolve(owner, options);
    const id = this.#idFor(owner, consumer);
    const runner: ConsumerRunner<T> = new ConsumerRunner(
      {
        id,
        handlerName,
        consumer,
        event: typeof options.topic === 'string' ? undefined : options.topic,
        reader: new PayloadReader(options),
        work: workOf(registration, consumer),
        onClosed: () => {
          this.#registry.remove(id);
          this.#consumers.delete(runner);
        },
        onAwaited: () => this.#watchStart(),
        onStart: () => this.#start(runner),
      },
      this.#parts,
    );
    this.#consumers.add(runner);
    this.#registry.add(runner);
    return runner;
  }

  #resolve<T>(owner: string, options: ConsumerOptions<T> | BatchConsumerOptions<T>): ResolvedConsumerOptions {
    return resolveConsumerOptions(owner, options, this.#options.consumer, this.#parts.connection, {
      instanceId: this.#instanceId,
      startup: this.#options.startup,
      producer: this.#options.producer,
    });
  }

  #idFor(
    owner: string,
    consumer: { readonly id: string | undefined; readonly topic: string; readonly sharedName: string },
  ): string {
    if (consumer.id !== undefined) {
      if (this.#registry.get(consumer.id) !== undefined) {
        throw new ConfigurationError(owner, [
          { option: 'id', problem: `"${consumer.id}" is taken by another consumer` },
        ]);
      }
      return consumer.id;
    }
    const base = `${consumer.topic.slice(consumer.topic.lastIndexOf('/') + 1)}/${consumer.sharedName}`;
    let id = base;
    for (let number = 2; this.#registry.get(id) !== undefined; number++) {
      id = `${base}#${number}`;
    }
    return id;
  }

  /** One attempt at a time; one that failed may be repeated. */
  #start(runner: NamedConsumer & Stoppable): Promise<void> {
    if (runner.autoStart || runner.state.status !== 'waiting') {
      return runner.whenSubscribed();
    }
    let starting = this.#starting.get(runner);
    if (starting === undefined) {
      starting = this.#track(this.#subscribe(runner)).finally(() => this.#starting.delete(runner));
      this.#starting.set(runner, starting);
    }
    this.#watchStart();
    return starting;
  }

  async #subscribe(runner: NamedConsumer & Stoppable): Promise<void> {
    if (!this.#bootstrapped) {
      await this.#bootstrap.promise;
    }
    try {
      await runner.subscribe();
    } catch (error) {
      this.#logger.error(`${runner.handlerName}: subscription ${runner.subscription} on ${runner.topic} failed.`);
      if (runner.autoStart) {
        runner.refuse(error);
        await runner.close();
      }
      throw error;
    }
  }
}

function workOf<T>(registration: Registration<T>, consumer: ResolvedConsumerOptions): RunnerWork<T> {
  if (isOfBatches(registration)) {
    return { kind: 'batch', handler: registration[1], batch: consumer.batch ?? BATCH_HANDLER_DEFAULTS };
  }
  const [{ ack, dedupe }, asGiven] = registration;
  const handler = ack === 'manual' ? manualHandler(asGiven) : asGiven;
  const { abortGraceMs, subscription, timeoutMs } = consumer;
  return {
    kind: 'single',
    handler:
      dedupe === undefined
        ? handler
        : idempotentHandler(handler, dedupe, {
            subscription,
            claimMs: timeoutMs === 0 ? LONGEST_RUN_MS : timeoutMs + abortGraceMs,
          }),
  };
}

function isOfBatches<T>(
  registration: Registration<T>,
): registration is readonly [BatchConsumerOptions<T>, BatchHandler<T>] {
  return registration[0].batch !== undefined;
}
