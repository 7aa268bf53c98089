import { Logger } from '@nestjs/common';
import type { DrainOptions } from '@smartpulse/batch';
import { checkOptions, type Clock, ConfigurationError, type Random, type Timer } from '@smartpulse/resilience';
import { z } from 'zod';
import { checkCacheKey } from '../namespace/cache-key.js';
import {
  CacheChannelClosedError,
  CachePayloadTooLargeError,
  CacheStoreUnavailableError,
  CacheValueNotEncodableError,
} from '../redis-cache.errors.js';
import { ChannelSequences } from '../redis/messages/channel-sequences.js';
import { within } from '../store/within.js';
import type { CacheTopic } from './cache-topic.js';
import type { ChannelHandler, ChannelStats, ChannelSubscription, SubscribeOptions } from './channel-message.js';
import { heartbeatText, messageText } from './channel-text.js';
import { startCounting } from './channel.counters.js';
import type { ChannelTransport } from './channel.transport.js';
import { type FollowedTopic, TopicSubscription } from './topic-subscription.js';

/** What a {@link CacheChannel} is made of. */
export interface CacheChannelParts {
  /** Opens the transport; called once, at the first use. */
  readonly open: () => Promise<ChannelTransport>;
  /** The owner of topics that name none. */
  readonly prefix: string;
  /** This app in messages. */
  readonly source: string;
  /** How often each topic in use hears a sign of life, milliseconds; after three without one, subscriptions are made anew. */
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Topics of one app: they are declared in its code. */
const MAX_TOPICS = 1_000;
/** Messages whose acceptance is waited for at once. */
const MAX_PENDING = 10_000;
const MISSING_HEARTBEATS = 3;

const subscribeSchema = z.strictObject({
  concurrency: z.int('expected a whole number').min(1, 'expected 1 or more').optional(),
  capacity: z.int('expected a whole number').min(1, 'expected 1 or more').optional(),
  onGap: z.custom<() => void>((value) => typeof value === 'function', 'expected a function').optional(),
});

/**
 * Thin messaging between services over the cache's server: hints, nudges, signals.
 *
 * **At most once.** A message reaches those who are subscribed at that moment and are connected; nobody keeps it, nothing is repeated, and `publish` does
 * not say whether anybody heard. What must arrive goes through a broker or the database. What it does promise: messages of one publisher and key are
 * handled in the order of their publication, one at a time; a bounded number waits; and where messages may be missing, `onGap` says so.
 *
 * Injectable by its class wherever the app imports `RedisCacheModule`. It connects at the first use, on connections of its own: a flood of messages
 * must not hold up the backplane of the cache. When the app stops, nothing new is taken, what was taken is handled, then it disconnects.
 *
 * @example
 * ```ts
 * const signals = defineTopic<{ eurPerMWh: string }>({ owner: 'shop', name: 'price-signals' });
 * await channel.subscribe(signals, async ({ key, payload }) => board.show(key, payload), { onGap: () => board.reload() });
 * await channel.publish(signals, 'PP-1', { eurPerMWh: '71.20' });
 * ```
 */
export class CacheChannel {
  readonly #logger = new Logger(CacheChannel.name);
  readonly #parts: CacheChannelParts;
  readonly #sequences: ChannelSequences;
  readonly #counters = startCounting();
  readonly #topics = new Map<string, unknown>();
  readonly #subscriptions = new Set<FollowedTopic>();
  #transport: Promise<ChannelTransport> | undefined;
  #opened: ChannelTransport | undefined;
  #heartbeat: Timer | undefined;
  #pending = 0;
  #state: 'open' | 'ending' | 'closed' = 'open';

  constructor(parts: CacheChannelParts) {
    this.#parts = parts;
    this.#sequences = new ChannelSequences(parts.random.id());
  }

  /** This app in messages. */
  get source(): string {
    return this.#parts.source;
  }

  /**
   * Tells everybody who follows the topic now. Resolves when the server has taken it.
   *
   * @param key messages of one key are handled in their order; at most 512 bytes without white space, see `cacheKey`.
   * @throws InvalidCacheKeyError, CacheValueNotEncodableError or CachePayloadTooLargeError for what cannot travel; CacheStoreUnavailableError when the server
   * does not take it in time (it may have gone out all the same); CacheChannelClosedError when the app has stopped.
   */
  async publish<T>(topic: CacheTopic<T>, key: string, payload: T): Promise<void> {
    checkCacheKey(key);
    const channel = this.#nameOf(topic);
    const text = encoded(topic, payload);
    if (this.#pending >= MAX_PENDING) {
      throw new CacheStoreUnavailableError(
        'publish',
        new Error(`${MAX_PENDING} messages wait for the server already.`),
      );
    }
    this.#pending += 1;
    try {
      await within(this.#parts.clock, topic.publishTimeoutMs, 'publish', async () => {
        const transport = await this.#open();
        await transport.publish(channel, messageText(this.#sequences.next(channel, this.source), key, text));
      });
      this.#counters.published += 1;
    } catch (error) {
      this.#counters.publishFailures += 1;
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }

  /**
   * Follows a topic from now on. Resolves when the subscription stands; after a lost connection it is made anew by itself, and `onGap` is told.
   *
   * @throws ConfigurationError when an option is out of range; CacheStoreUnavailableError when the server cannot be reached at the first use;
   * CacheChannelClosedError once the app stops.
   */
  async subscribe<T>(
    topic: CacheTopic<T>,
    handler: ChannelHandler<T>,
    options: SubscribeOptions = {},
  ): Promise<ChannelSubscription> {
    checkOptions('CacheChannel.subscribe', subscribeSchema, options);
    const channel = this.#nameOf(topic);
    if (this.#state !== 'open') {
      throw new CacheChannelClosedError();
    }
    const subscription: TopicSubscription<T> = new TopicSubscription<T>({
      topic,
      channel,
      handler,
      options,
      ownEpoch: this.#sequences.epoch,
      heartbeatMs: this.#parts.heartbeatMs,
      clock: this.#parts.clock,
      counters: this.#counters,
      onEnded: () => void this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    try {
      const transport = await this.#open();
      await subscription.attach(await transport.subscribe(channel, subscription));
      return subscription;
    } catch (error) {
      await subscription.close();
      throw error;
    }
  }

  /** What it has done. */
  stats(): ChannelStats {
    const subscriptions = [...this.#subscriptions];
    return {
      ...this.#counters,
      subscriptions: subscriptions.length,
      standing: subscriptions.filter(({ standing }) => standing).length,
    };
  }

  /**
   * Takes no message any more; publishing goes on.
   *
   * @internal called by the module at shutdown.
   */
  async endIntake(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'ending';
    }
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.end()));
  }

  /**
   * Waits for the handlers of what was taken; answers how many messages were left over.
   *
   * @internal called by the module at shutdown.
   */
  async drain(options: DrainOptions): Promise<number> {
    const left = await Promise.all([...this.#subscriptions].map((subscription) => subscription.drain(options)));
    return left.reduce((sum, one) => sum + one, 0);
  }

  /**
   * Disconnects. Idempotent.
   *
   * @internal called by the module at shutdown.
   */
  async close(): Promise<void> {
    await this.endIntake();
    this.#state = 'closed';
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
    this.#subscriptions.clear();
    await this.#opened?.close();
  }

  #nameOf<T>(topic: CacheTopic<T>): string {
    const name = `${topic.owner ?? this.#parts.prefix}:${topic.name}:!msg`;
    const known = this.#topics.get(name);
    if (known === undefined) {
      if (this.#topics.size >= MAX_TOPICS) {
        throw misuse(`more than ${MAX_TOPICS} topics are used; put what comes from data into the key`);
      }
      this.#topics.set(name, topic);
    } else if (known !== topic) {
      throw misuse(`two different topics are named "${topic.name}"`);
    }
    return name;
  }

  /** Single-flight; a failure is not kept, the next use tries again. */
  #open(): Promise<ChannelTransport> {
    if (this.#state === 'closed') {
      return Promise.reject(new CacheChannelClosedError());
    }
    this.#transport ??= this.#parts.open().then(
      (transport) => this.#take(transport),
      (error: unknown) => {
        this.#transport = undefined;
        throw error;
      },
    );
    return this.#transport;
  }

  async #take(transport: ChannelTransport): Promise<ChannelTransport> {
    if (this.#state === 'closed') {
      // It came too late for anybody to close it with the channel.
      await transport.close();
      throw new CacheChannelClosedError();
    }
    this.#opened = transport;
    this.#beatLater();
    return transport;
  }

  #beatLater(): void {
    if (this.#state === 'closed') {
      return;
    }
    this.#heartbeat = this.#parts.clock.setTimer(
      this.#parts.heartbeatMs,
      () => {
        this.#beat().then(
          () => this.#beatLater(),
          (error: unknown) => {
            // The connection says itself that it is lost; the next time will show.
            this.#logger.debug(`The server did not take a heartbeat (${String(error)}).`);
            this.#beatLater();
          },
        );
      },
      { unref: true },
    );
  }

  /** Tells the last number on every topic, and looks whether the own signs of life come back: a connection may be dead without anybody saying so. */
  async #beat(): Promise<void> {
    const { clock, heartbeatMs, source } = this.#parts;
    const transport = this.#opened;
    if (transport === undefined) {
      return;
    }
    const sinceMs = clock.monotonic() - heartbeatMs * MISSING_HEARTBEATS;
    if ([...this.#subscriptions].some((subscription) => subscription.isSilentSince(sinceMs))) {
      transport.renew();
    }
    await within(clock, heartbeatMs, 'heartbeat', () =>
      Promise.all(
        [...this.#topics.keys()].map((channel) =>
          transport.publish(channel, heartbeatText(this.#sequences.last(channel, source))),
        ),
      ),
    );
  }
}

/** @throws CacheValueNotEncodableError or CachePayloadTooLargeError. */
function encoded<T>(topic: CacheTopic<T>, payload: T): string {
  let text: string;
  try {
    text = topic.codec.encode(payload);
  } catch (cause) {
    throw new CacheValueNotEncodableError(topic.name, cause);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > topic.maxPayloadBytes) {
    throw new CachePayloadTooLargeError(topic.name, bytes, topic.maxPayloadBytes);
  }
  return text;
}

function misuse(problem: string): ConfigurationError {
  return new ConfigurationError(
    'CacheChannel',
    [{ option: 'topic', problem }],
    'Declare a topic once with defineTopic and import that constant everywhere.',
  );
}
