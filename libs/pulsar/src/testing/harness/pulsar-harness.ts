import type { DynamicModule, INestApplicationContext, Provider, Type } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import { jsonCodec } from '../../codec/pulsar-codec.js';
import { PulsarConnection } from '../../connection/pulsar.connection.js';
import type { NamedConsumer } from '../../consumer/pulsar.consumers.js';
import { PulsarConsumers } from '../../consumer/pulsar.consumers.js';
import { ignoreUnasked } from '../../consumer/deferred.js';
import { type EventContract, topicOf } from '../../event/define-event.js';
import type { InProcessBroker } from '../../in-process/in-process.broker.js';
import type { PublishOptions, PublishResult } from '../../producer/publish-options.js';
import { PulsarPublisher } from '../../producer/pulsar.publisher.js';
import type { HarnessFaults } from './harness-faults.js';
import { RecordedDeadLetter, RecordedMessage, type StoredRecord } from './harness-records.js';
import { HarnessTransport } from './harness.transport.js';
import {
  type HarnessOptions,
  type OverridableModuleBuilder,
  overridePulsar,
  type PulsarTestingOptions,
  PulsarTestingModule,
} from './pulsar-testing.module.js';
import { type SettleOptions, type Stillness, StillnessWatch } from './stillness.js';

/** What {@link PulsarHarness.create} makes an app of. */
export interface HarnessParts extends PulsarTestingOptions {
  readonly imports?: readonly (DynamicModule | Type)[] | undefined;
  readonly providers?: readonly Provider[] | undefined;
  readonly controllers?: readonly Type[] | undefined;
}

/** The part of `TestingModuleBuilder` (`@nestjs/testing`) that {@link PulsarHarness.start} needs. */
export interface StartableModuleBuilder extends OverridableModuleBuilder {
  compile(): Promise<INestApplicationContext & { init(): Promise<unknown> }>;
}

/** Names a consumer: its id, its handler's name (`Mailer.mail`), or itself. */
export type ConsumerName = string | { readonly topic: string; readonly subscription: string };

/** Virtual time in which an app stops by itself, drain timeouts included. */
const CLOSE_MS = 120_000;

/**
 * An app with everything about its messages in the test's hands: time, faults, what was published, handled and given up. Nothing of it
 * sleeps, and the same test does the same each time.
 *
 * @example
 * ```ts
 * await using harness = await PulsarHarness.create({ providers: [Mailer] });
 * await harness.publish('orders', { id: 7 });
 * await harness.settled();
 * expect(harness.handled('Mailer.mail')).toHaveLength(1);
 * ```
 */
export class PulsarHarness implements AsyncDisposable {
  readonly #transport: HarnessTransport;
  readonly #connection: PulsarConnection;
  readonly #consumers: PulsarConsumers;
  readonly #watch: StillnessWatch;

  /** The app under test; `harness.app.get(Mailer)`. */
  readonly app: INestApplicationContext;
  readonly publisher: PulsarPublisher;

  private constructor(app: INestApplicationContext, connection: PulsarConnection, transport: HarnessTransport) {
    this.app = app;
    this.#connection = connection;
    this.#transport = transport;
    this.#consumers = app.get(PulsarConsumers);
    this.publisher = app.get(PulsarPublisher);
    this.#watch = new StillnessWatch(transport, this.#consumers, this.publisher);
  }

  /** Makes and starts an app of these parts, on {@link PulsarTestingModule}. @throws what the start of the app throws. */
  static async create({ imports, providers, controllers, ...options }: HarnessParts = {}): Promise<PulsarHarness> {
    @Module({
      imports: [PulsarTestingModule.forRoot(options), ...(imports ?? [])],
      providers: [...(providers ?? [])],
      controllers: [...(controllers ?? [])],
    })
    class AppUnderTest {}
    return PulsarHarness.of(
      await NestFactory.createApplicationContext(AppUnderTest, { logger: false, abortOnError: false }),
    );
  }

  /**
   * Compiles and initialises a testing module whose app imports `PulsarModule` and `ResilienceModule` itself.
   *
   * @throws what the start of the app throws.
   * @example
   * ```ts
   * await using harness = await PulsarHarness.start(Test.createTestingModule({ imports: [AppModule] }));
   * ```
   */
  static async start(builder: StartableModuleBuilder, options: HarnessOptions = {}): Promise<PulsarHarness> {
    const app = await overridePulsar(builder, options).compile();
    await app.init();
    return PulsarHarness.of(app);
  }

  /**
   * The harness of an app that was made with {@link PulsarTestingModule} or {@link overridePulsar}.
   *
   * @throws TypeError when it was not.
   */
  static of(app: INestApplicationContext): PulsarHarness {
    const connection = app.get(PulsarConnection);
    const { transport } = connection;
    if (!(transport instanceof HarnessTransport)) {
      throw new TypeError(
        `This app runs on the ${transport.name} transport: import PulsarTestingModule.forRoot() in place of PulsarModule, or make its testing module with overridePulsar().`,
      );
    }
    return new PulsarHarness(app, connection, transport);
  }

  get clock(): VirtualClock {
    return this.#transport.clock;
  }

  /** To let another app meet this one: `PulsarHarness.create({ broker: harness.broker })`. */
  get broker(): InProcessBroker {
    return this.#transport.broker;
  }

  /** What goes wrong next between the app and its broker. */
  get faults(): HarnessFaults {
    return this.#transport.faults;
  }

  /** Publishes by the app's own publisher. @throws PulsarError as `PulsarPublisher.publish` does. */
  publish<T>(topic: string | EventContract<T>, data: T, options: PublishOptions<T> = {}): Promise<PublishResult> {
    return this.publisher.publish(topic, data, options);
  }

  /**
   * Resolves when nothing moves any more: every message is handled, given up, or waits for time to go on.
   *
   * @throws UnsettledError with a sentence for each thing that hangs: a handler that does not end, a consumer that is paused, a publish without
   *   an answer.
   */
  settled(options: SettleOptions = {}): Promise<Stillness> {
    return this.#watch.settled(options);
  }

  /** Lets `ms` milliseconds of virtual time pass, and what they bring about happen. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /**
   * Lets virtual time go on until a promise of the app settles: a publish that waits for its batch, a call with a timeout.
   *
   * @throws what the promise throws; Error when `limitMs` of virtual time (default an hour) are not enough.
   */
  async elapse<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let isSettled = false;
    const watched = promise.finally(() => {
      isSettled = true;
    });
    // Whoever calls gets its rejection, unless time was too short.
    ignoreUnasked(watched);
    await Promise.race([watched, this.clock.until(() => isSettled, limitMs)]);
    return watched;
  }

  /** Everything that was stored on a topic, in its order. A short name is one of the app's own namespace. */
  published<T = unknown>(topic: string | EventContract<T>): readonly RecordedMessage<T>[] {
    const name = this.#topicName(topic);
    return this.#transport.records
      .published()
      .filter((record) => record.topic === name)
      .map((record) => new RecordedMessage(record, codecOf(topic)));
  }

  /** The messages that a consumer gave up, or that were given up by any consumer of a topic. */
  deadLetters<T = unknown>(from: ConsumerName | EventContract<T>): readonly RecordedDeadLetter<T>[] {
    const letters = this.#transport.records
      .published()
      .filter(({ message }) => message.properties?.['x-reason'] !== undefined)
      .map((record) => new RecordedDeadLetter<T>(record, codecOf<T>(isContract(from) ? from : '')));
    const consumer = isContract(from) ? undefined : this.#find(from);
    if (consumer !== undefined) {
      return letters.filter((letter) => isOf(letter, consumer));
    }
    const topic = this.#connection.topicName(typeof from === 'string' ? from : from.topic);
    return letters.filter((letter) => letter.topic === topic || letter.originalTopic === topic);
  }

  /**
   * The messages that a handler has handled: acknowledged, and not given up. Consumers that share a subscription share this list.
   *
   * @throws RangeError when there is no such consumer.
   */
  handled<T = unknown>(by: ConsumerName, contract?: EventContract<T>): readonly RecordedMessage<T>[] {
    const consumer = this.#find(by);
    if (consumer === undefined) {
      const known = this.#consumers.all.map(({ id, handlerName }) => `${id} (${handlerName})`).join(', ');
      throw new RangeError(
        `There is no consumer ${typeof by === 'string' ? by : `${by.topic}/${by.subscription}`}. There are: ${known === '' ? 'none' : known}.`,
      );
    }
    const givenUp = new Set(this.deadLetters(consumer).map((letter) => letter.originalMessageId));
    return this.#transport.records
      .acknowledged(consumer.topic, consumer.subscription)
      .filter(({ messageId }: StoredRecord) => !givenUp.has(messageId))
      .map((record) => new RecordedMessage<T>(record, codecOf<T>(contract ?? '')));
  }

  /** Takes every consumer away as a lost connection does; they are made anew when time goes on, and get again what is not acknowledged. */
  dropConsumers(): Promise<void> {
    return this.#transport.dropConsumers();
  }

  /** Closes the app while virtual time goes on. */
  async close(): Promise<void> {
    const closing = this.app.close();
    await this.clock.advance(CLOSE_MS);
    await closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(name: ConsumerName): { readonly topic: string; readonly subscription: string } | undefined {
    return typeof name === 'string'
      ? this.#consumers.all.find(({ id, handlerName }: NamedConsumer) => id === name || handlerName === name)
      : name;
  }

  #topicName<T>(topic: string | EventContract<T>): string {
    return this.#connection.topicName(topicOf(topic));
  }
}

function isContract<T>(value: ConsumerName | EventContract<T>): value is EventContract<T> {
  return typeof value === 'object' && 'kind' in value;
}

function codecOf<T>(topic: string | EventContract<T>) {
  return typeof topic === 'string' ? jsonCodec<T>() : topic.codec;
}

function isOf(
  letter: RecordedDeadLetter,
  { topic, subscription }: { readonly topic: string; readonly subscription: string },
): boolean {
  return letter.originalTopic === topic && letter.subscription === subscription;
}
