import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, ConfigurationError, Random } from '@smartpulse/resilience';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { PulsarPublisher } from '../producer/pulsar.publisher.js';
import { PulsarClosedError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerOptions, MessageHandler, PulsarConsumerHandle } from './consumer-options.js';
import { ConsumerRunner } from './consumer-runner.js';
import { Deferred, ignoreUnasked } from './deferred.js';
import { PayloadReader } from './payload-reader.js';
import { PulsarRegistry } from './pulsar.registry.js';
import { resolveConsumerOptions } from './resolve-consumer-options.js';

/** A consumer with the handler's name, for the start log. */
export type NamedConsumer = PulsarConsumerHandle & { readonly handlerName: string };

interface Stoppable {
  start(): Promise<void>;
  stopIntake(): void;
  finish(timeoutMs: number, signal?: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/**
 * Registers handlers by code; `@PulsarSubscribe` uses the same.
 *
 * @example
 * ```ts
 * const handle = await consumers.register({ topic: 'orders', subscription: 'billing', type: 'Key_Shared', concurrency: 16 }, bill);
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
  readonly #subscribing = new Set<Promise<unknown>>();
  readonly #complete = new Deferred();
  readonly #bootstrap = new Deferred();
  #bootstrapped = false;
  #stopping = false;

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarPublisher) publisher: PulsarPublisher,
    @Inject(PulsarRegistry) registry: PulsarRegistry,
    @Inject(PulsarTelemetry) telemetry: PulsarTelemetry,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(Random) random: Random,
  ) {
    this.#options = options;
    this.#registry = registry;
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
   * Registers a handler. Before the app's bootstrap nothing is subscribed yet, and the promise waits for it: do not await it in
   * `onModuleInit`. After it, the subscription is made at once.
   *
   * @returns the consumer, when its subscription exists and it has begun to consume.
   * @throws ConfigurationError that names the handler when an option is wrong; PulsarError when the subscription cannot be made.
   */
  register<T>(options: ConsumerOptions<T>, handler: MessageHandler<T>): Promise<PulsarConsumerHandle> {
    return this.registerNamed(
      'PulsarConsumers.register',
      handler.name === '' ? 'handler' : handler.name,
      options,
      handler,
    );
  }

  /**
   * @internal
   * @param owner names the registration in configuration errors.
   */
  async registerNamed<T>(
    owner: string,
    handlerName: string,
    options: ConsumerOptions<T>,
    handler: MessageHandler<T>,
  ): Promise<PulsarConsumerHandle> {
    const runner = this.#create(owner, handlerName, options, handler);
    const subscribing = this.#subscribe(runner);
    this.#subscribing.add(subscribing);
    ignoreUnasked(subscribing);
    try {
      await subscribing;
    } finally {
      this.#subscribing.delete(subscribing);
    }
    return runner;
  }

  /** Resolves when the app has started and every handler registered until then has its subscription. Rejects when one has not. */
  async whenSubscribed(): Promise<void> {
    await this.#complete.promise;
    await Promise.all(this.#subscribing);
  }

  /** Lets everything registered so far subscribe, and what comes later at once. Fails the start when a subscription fails. */
  async onApplicationBootstrap(): Promise<void> {
    this.#bootstrapped = true;
    this.#bootstrap.resolve();
    await Promise.all(this.#subscribing);
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
    this.#bootstrap.reject(new PulsarClosedError('consumers'));
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

  #create<T>(
    owner: string,
    handlerName: string,
    options: ConsumerOptions<T>,
    handler: MessageHandler<T>,
  ): NamedConsumer & Stoppable {
    if (this.#stopping) {
      throw new PulsarClosedError('consumers');
    }
    const consumer = resolveConsumerOptions(owner, options, this.#options.consumer, this.#parts.connection);
    const id = this.#idFor(owner, consumer);
    const runner: ConsumerRunner<T> = new ConsumerRunner(
      {
        id,
        handlerName,
        consumer,
        reader: new PayloadReader(options),
        handler,
        onClosed: () => {
          this.#registry.remove(id);
          this.#consumers.delete(runner);
        },
      },
      this.#parts,
    );
    this.#consumers.add(runner);
    this.#registry.add(runner);
    return runner;
  }

  #idFor(
    owner: string,
    consumer: { readonly id: string | undefined; readonly topic: string; readonly subscription: string },
  ): string {
    if (consumer.id !== undefined) {
      if (this.#registry.get(consumer.id) !== undefined) {
        throw new ConfigurationError(owner, [
          { option: 'id', problem: `"${consumer.id}" is taken by another consumer` },
        ]);
      }
      return consumer.id;
    }
    const base = `${consumer.topic.slice(consumer.topic.lastIndexOf('/') + 1)}/${consumer.subscription}`;
    let id = base;
    for (let number = 2; this.#registry.get(id) !== undefined; number++) {
      id = `${base}#${number}`;
    }
    return id;
  }

  async #subscribe(runner: NamedConsumer & Stoppable): Promise<void> {
    if (!this.#bootstrapped) {
      await this.#bootstrap.promise;
    }
    try {
      await runner.start();
    } catch (error) {
      this.#logger.error(`${runner.handlerName}: subscription ${runner.subscription} on ${runner.topic} failed.`);
      await runner.close();
      throw error;
    }
  }
}
