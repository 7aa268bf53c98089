import { Logger } from '@nestjs/common';
import { AutoConcurrentPartitionedQueue, type DrainOptions } from '@smartpulse/batch';
import type { Clock } from '@smartpulse/resilience';
import { SequenceWatch } from '../redis/messages/sequence-watch.js';
import type { MessageOrigin } from '../redis/messages/wire-message.js';
import type { CacheTopic } from './cache-topic.js';
import {
  type ChannelGap,
  type ChannelHandler,
  type ChannelMessage,
  type ChannelSubscription,
  SUBSCRIBE_DEFAULTS,
  type SubscribeOptions,
} from './channel-message.js';
import { readChannelText } from './channel-text.js';
import type { ChannelCounters } from './channel.counters.js';
import type { ChannelListener, TransportSubscription } from './channel.transport.js';

/** What a {@link TopicSubscription} is made of. */
export interface TopicSubscriptionParts<T> {
  readonly topic: CacheTopic<T>;
  /** The full name of the channel. */
  readonly channel: string;
  readonly handler: ChannelHandler<T>;
  readonly options: SubscribeOptions;
  /** The epoch of this process's own messages. */
  readonly ownEpoch: string;
  readonly clock: Clock;
  readonly counters: ChannelCounters;
  /** How often every process tells its last number, milliseconds. */
  readonly heartbeatMs: number;
  /** Called once, when it has ended. */
  readonly onEnded: () => void;
}

/** A subscription as its channel sees it, whatever its payloads are. */
export interface FollowedTopic extends ChannelSubscription {
  /** Not even the own heartbeat has come back since `sinceMs`. */
  isSilentSince(sinceMs: number): boolean;
  /** Takes nothing new from now on. */
  end(): Promise<void>;
  /** Finishes what was taken; answers how many messages were left over. */
  drain(options: DrainOptions): Promise<number>;
}

/** One follower of a topic: looks for gaps, and hands messages to the handler in the order of their keys, a bounded number at once. */
export class TopicSubscription<T> implements ChannelListener, FollowedTopic {
  readonly #logger: Logger;
  readonly #parts: TopicSubscriptionParts<T>;
  readonly #watch: SequenceWatch;
  readonly #queue: AutoConcurrentPartitionedQueue<string, ChannelMessage<T>>;
  #transport: TransportSubscription | undefined;
  #state: 'beginning' | 'standing' | 'lost' | 'ended' = 'beginning';
  #lostBecause = '';
  #heardMs = 0;
  #dropped = 0;
  #failures = 0;
  #ending: Promise<void> | undefined;

  /** @throws ConfigurationError when an option is out of range. */
  constructor(parts: TopicSubscriptionParts<T>) {
    this.#parts = parts;
    this.#logger = new Logger(`CacheChannel ${parts.channel}`);
    const { handler, clock, counters, options, heartbeatMs } = parts;
    this.#watch = new SequenceWatch(heartbeatMs);
    this.#queue = new AutoConcurrentPartitionedQueue<string, ChannelMessage<T>>(
      {
        name: parts.channel,
        concurrency: options.concurrency ?? SUBSCRIBE_DEFAULTS.concurrency,
        capacity: options.capacity ?? SUBSCRIBE_DEFAULTS.capacity,
        handler: async (message, { signal }) => {
          await handler(message, { signal });
          counters.handled += 1;
        },
        onError: (error) => this.#failed(error),
      },
      { clock },
    );
  }

  get standing(): boolean {
    return this.#state === 'standing';
  }

  isSilentSince(sinceMs: number): boolean {
    return this.#state === 'standing' && this.#heardMs < sinceMs;
  }

  /** Takes over the transport's side of it, once that stands. */
  async attach(transport: TransportSubscription): Promise<void> {
    this.#transport = transport;
    if (this.#state === 'ended') {
      await transport.close();
    }
  }

  onStanding(): void {
    // Told again while it stands: the numbers go on.
    if (this.#state === 'ended' || this.#state === 'standing') {
      return;
    }
    const before = this.#state;
    this.#state = 'standing';
    this.#heardMs = this.#parts.clock.monotonic();
    this.#watch.clear(this.#heardMs);
    if (before === 'lost') {
      this.#tell({ reason: 'connectionLost', cause: this.#lostBecause });
    }
  }

  onLost(reason: string): void {
    if (this.#state === 'standing') {
      this.#state = 'lost';
      this.#lostBecause = reason;
    }
  }

  onText(text: string): void {
    if (this.#state !== 'standing') {
      return;
    }
    const read = readChannelText(text);
    if (read === undefined) {
      this.#tell({ reason: 'unreadable', source: null });
      return;
    }
    if (read.origin.epoch === this.#parts.ownEpoch) {
      this.#heardMs = this.#parts.clock.monotonic();
    }
    // A subscriber is promised nothing of what was said before others have heard of it.
    this.#watch.settles(this.#parts.clock.monotonic());
    if (this.#watch.misses(read.origin, read.kind === 'heartbeat')) {
      this.#tell({ reason: 'missing', source: read.origin.source });
    }
    if (read.kind === 'message') {
      this.#parts.counters.received += 1;
      this.#take(read.origin, read.key, read.payload);
    }
  }

  async end(): Promise<void> {
    this.#state = 'ended';
    await this.#transport?.close();
  }

  async drain(options: DrainOptions): Promise<number> {
    return (await this.#queue.drain(options)).leftover.length;
  }

  close(): Promise<void> {
    this.#ending ??= this.#close();
    return this.#ending;
  }

  async #close(): Promise<void> {
    await this.end();
    await this.#queue.quiet();
    await this.drain({ timeoutMs: 0 });
    this.#parts.onEnded();
  }

  #take(origin: MessageOrigin, key: string, text: string): void {
    const { topic, ownEpoch, counters } = this.#parts;
    let payload: T;
    try {
      payload = topic.codec.decode(text);
    } catch (error) {
      this.#logger.warn(`A message of "${origin.source}" cannot be read (${String(error)}).`);
      this.#tell({ reason: 'unreadable', source: origin.source });
      return;
    }
    if (this.#dropped > 0 && this.#queue.size < (this.#parts.options.capacity ?? SUBSCRIBE_DEFAULTS.capacity)) {
      this.#tellDropped();
    }
    if (this.#queue.tryEnqueue(key, { key, payload, source: origin.source, own: origin.epoch === ownEpoch })) {
      return;
    }
    counters.dropped += 1;
    this.#dropped += 1;
    if (this.#dropped === 1) {
      // Where nothing follows that would find room again, somebody has to say it all the same.
      void this.#queue.idle().then(() => this.#tellDropped());
    }
  }

  #tellDropped(): void {
    const dropped = this.#dropped;
    if (dropped > 0 && this.#state !== 'ended') {
      this.#dropped = 0;
      this.#tell({ reason: 'overflow', dropped });
    }
  }

  #tell(gap: ChannelGap): void {
    this.#parts.counters.gaps += 1;
    const { onGap } = this.#parts.options;
    if (onGap === undefined) {
      this.#logger.warn(`Messages may be missing: ${gap.reason}.`);
      return;
    }
    try {
      onGap(gap);
    } catch (error) {
      this.#logger.error('onGap threw.', error instanceof Error ? error.stack : undefined);
    }
  }

  #failed(error: unknown): void {
    this.#parts.counters.failed += 1;
    this.#failures += 1;
    // The first and then ever more seldom: a handler whose database is down must not fill the log.
    if ((this.#failures & (this.#failures - 1)) === 0) {
      this.#logger.error(
        `A handler failed (${this.#failures} so far): ${error instanceof Error ? error.message : String(error)}`,
        error instanceof Error ? error.stack : undefined,
      );
    }
  }
}
