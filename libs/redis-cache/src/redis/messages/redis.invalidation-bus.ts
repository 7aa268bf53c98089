import { Logger } from '@nestjs/common';
import type { Clock, Timer } from '@smartpulse/resilience';
import {
  InvalidationBus,
  type InvalidationListener,
  type InvalidationSubscription,
} from '../../invalidation/invalidation.bus.js';
import { LaneWatch } from './lane-watch.js';
import { CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import type { RedisLink } from '../connection/redis.link.js';
import { SequenceWatch } from './sequence-watch.js';
import { readMessage, type WireMessage } from './wire-message.js';

/** Heartbeats that may be missing before the channel counts as dead. */
const MISSING_HEARTBEATS = 3;

interface Channel {
  readonly name: string;
  readonly listeners: Set<InvalidationListener>;
  readonly watch: SequenceWatch;
  trusted: boolean;
  /** The first subscription, until it stands or is left to the next connection; one that was refused stays refused. */
  beginning: Promise<void> | undefined;
}

/**
 * The backplane over Redis publish and subscribe, which delivers at most once: so it checks itself. A lost connection, a missing number or a server by which
 * not even the own heartbeat comes back makes the first level untrusted at once; it is trusted again when the server has acknowledged a new subscription.
 */
export class RedisInvalidationBus extends InvalidationBus {
  readonly #logger = new Logger('RedisCacheModule');
  readonly #channels = new Map<string, Channel>();
  readonly #link: RedisLink;
  readonly #clock: Clock;
  readonly #heartbeatMs: number;
  readonly #lanes = new LaneWatch();
  readonly #observers = new Set<(lagMs: number) => void>();
  /** Losses so far: an acknowledgement that comes after one is of no use. */
  #losses = 0;
  #silence: Timer | undefined;

  constructor(link: RedisLink, clock: Clock, heartbeatMs: number) {
    super();
    this.#link = link;
    this.#clock = clock;
    this.#heartbeatMs = heartbeatMs;
    link.listen({
      onReady: () => this.#resubscribe(),
      onNewGeneration: () => this.#flushAll('Redis was started again or another one took over.'),
      onLost: (reason) => {
        this.#losses++;
        this.#distrustAll(reason);
      },
      onMessage: (channel, text) => this.#hear(channel, text),
    });
  }

  override async subscribe(name: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    const known = this.#channels.get(name);
    const channel = known ?? {
      name,
      listeners: new Set(),
      watch: new SequenceWatch(this.#heartbeatMs),
      trusted: false,
      beginning: undefined,
    };
    channel.listeners.add(listener);
    if (known === undefined) {
      this.#channels.set(name, channel);
      this.#link.beatOn(name);
      // Else it is subscribed when everything is there; until then nothing is trusted.
      if (this.#link.whole) {
        channel.beginning = this.#begin(channel);
      }
    } else if (channel.trusted) {
      this.#tell(() => listener.onTrusted(), listener);
    }
    this.#watchSilence();
    try {
      await channel.beginning;
    } catch (error) {
      await this.#leave(channel, listener);
      throw new CacheStoreUnavailableError('subscribe', error);
    }
    return { close: () => this.#leave(channel, listener) };
  }

  /** @throws what the server says that refuses. Where the connection is lost first, the next one begins anew, and until then nothing is trusted. */
  async #begin(channel: Channel): Promise<void> {
    const losses = this.#losses;
    try {
      await this.#acknowledge(channel);
    } catch (error) {
      if (losses === this.#losses) {
        throw error;
      }
      this.#logger.debug(`A channel could not be subscribed (${String(error)}).`);
    }
    channel.beginning = undefined;
  }

  /** By the signs of life of this process, one for each channel every `heartbeatMs`. */
  override observeLag(observer: (lagMs: number) => void): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  async #leave(channel: Channel, listener: InvalidationListener): Promise<void> {
    if (channel.listeners.delete(listener) && channel.listeners.size === 0) {
      this.#channels.delete(channel.name);
      if (this.#channels.size === 0) {
        this.#silence?.cancel();
        this.#silence = undefined;
      }
      await this.#link.unsubscribe(channel.name);
    }
  }

  /** Subscribes; what listeners read before the acknowledgement they are told to drop by `onTrusted`. */
  async #acknowledge(channel: Channel): Promise<void> {
    const losses = this.#losses;
    await this.#link.subscribe(channel.name);
    if (losses !== this.#losses) {
      return;
    }
    channel.watch.clear(this.#clock.monotonic());
    this.#link.lanes.forEach((lane) => channel.watch.know(this.#link.sequences.last(channel.name, '', lane)));
    channel.trusted = true;
    this.#tellAll(channel, (listener) => listener.onTrusted());
  }

  #resubscribe(): void {
    this.#lanes.clear();
    for (const channel of this.#channels.values()) {
      this.#acknowledge(channel).catch((error: unknown) => {
        // The connection was lost again, or the server refuses now: the next one begins anew, and until then nothing is trusted.
        this.#logger.debug(`A channel could not be subscribed again (${String(error)}).`);
      });
    }
  }

  #distrustAll(reason: string): void {
    for (const channel of this.#channels.values()) {
      this.#distrust(channel, reason);
    }
  }

  #flushAll(reason: string): void {
    for (const channel of this.#channels.values()) {
      if (channel.trusted) {
        this.#flush(channel, reason);
      }
    }
  }

  /** The subscription stands: what is read from now on is covered by the messages that follow, what was read before is not. */
  #flush(channel: Channel, reason: string): void {
    this.#distrust(channel, reason);
    channel.trusted = true;
    this.#tellAll(channel, (listener) => listener.onTrusted());
  }

  #distrust(channel: Channel, reason: string): void {
    if (channel.trusted) {
      channel.trusted = false;
      this.#tellAll(channel, (listener) => listener.onUntrusted(reason));
    }
  }

  #hear(name: string, text: string): void {
    const channel = this.#channels.get(name);
    const message = channel && readMessage(text);
    const lane = message && this.#link.sequences.laneOf(message.origin);
    if (lane !== undefined) {
      this.#cameBack(lane, message?.kind === 'heartbeat');
    }
    if (channel === undefined || message === undefined || !channel.trusted) {
      return;
    }
    if (channel.watch.misses(message.origin, message.kind === 'heartbeat')) {
      this.#flush(channel, 'A message of the backplane is missing.');
    }
    this.#pass(channel, message);
  }

  #cameBack(lane: string, isBeat: boolean): void {
    const nowMs = this.#clock.monotonic();
    const sentMs = isBeat ? this.#link.beatsMs.get(lane) : undefined;
    this.#lanes.hear(lane, nowMs);
    if (sentMs !== undefined) {
      this.#observers.forEach((observer) => observer(nowMs - sentMs));
    }
  }

  #pass(channel: Channel, message: WireMessage): void {
    if (message.kind === 'news') {
      if (message.generation !== undefined) {
        this.#link.heardOf(message.generation, message.message.key, channel.name);
      }
      const { message: news } = message;
      this.#tellAll(channel, (listener) => listener.onMessage(news));
    }
  }

  /** A connection may be dead without anybody saying so: then not even our own heartbeat comes back. */
  #watchSilence(): void {
    this.#silence ??= this.#clock.setTimer(
      this.#heartbeatMs,
      () => {
        this.#silence = undefined;
        const nowMs = this.#clock.monotonic();
        const trusted = [...this.#channels.values()].filter((channel) => channel.trusted);
        trusted.forEach((channel) => this.#settle(channel, nowMs));
        const silentMs = this.#heartbeatMs * MISSING_HEARTBEATS;
        if (trusted.length > 0 && this.#lanes.silent(this.#link.lanes, nowMs, silentMs)) {
          this.#distrustAll('The backplane has been silent for too long.');
          this.#link.reconnectSubscriber();
        }
        if (this.#channels.size > 0) {
          this.#watchSilence();
        }
      },
      { unref: true },
    );
  }

  /** Messages of processes that were not heard of yet may be lost unnoticed until then. No gap is known, so that nobody is told of one. */
  #settle(channel: Channel, nowMs: number): void {
    if (channel.watch.settles(nowMs)) {
      this.#tellAll(channel, (listener) => listener.onTrusted());
    }
  }

  #tellAll(channel: Channel, call: (listener: InvalidationListener) => void): void {
    for (const listener of channel.listeners) {
      this.#tell(call, listener);
    }
  }

  /** One listener's mistake is not the next one's. */
  #tell(call: (listener: InvalidationListener) => void, listener: InvalidationListener): void {
    try {
      call(listener);
    } catch (error) {
      this.#logger.error('A listener of the backplane failed.', error instanceof Error ? error.stack : undefined);
    }
  }
}
