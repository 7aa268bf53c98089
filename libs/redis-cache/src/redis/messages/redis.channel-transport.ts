import { Logger } from '@nestjs/common';
import { type ChannelListener, ChannelTransport, type TransportSubscription } from '../../channel/channel.transport.js';
import { CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import type { RedisLink } from '../connection/redis.link.js';

interface Channel {
  readonly name: string;
  readonly listeners: Set<ChannelListener>;
  standing: boolean;
  /** Callers that wait until it stands, each for a listener. */
  readonly waiting: Map<ChannelListener, Waiting>;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Channels over Redis publish and subscribe, on a link of their own. */
export class RedisChannelTransport extends ChannelTransport {
  readonly shared = true;
  readonly #logger = new Logger('RedisCacheModule');
  readonly #channels = new Map<string, Channel>();
  readonly #link: RedisLink;
  #losses = 0;

  /** @param link for this transport alone, which closes it. */
  constructor(link: RedisLink) {
    super();
    this.#link = link;
    link.listen({
      onReady: () => this.#resubscribe(),
      // Nothing is kept in the server, so that nothing can go back with it.
      onNewGeneration: () => {},
      onLost: (reason) => this.#lose(reason),
      onMessage: (name, text) => this.#hear(name, text),
    });
  }

  override publish(channel: string, text: string): Promise<void> {
    return this.#link.publish(channel, text);
  }

  override async subscribe(name: string, listener: ChannelListener): Promise<TransportSubscription> {
    const known = this.#channels.get(name);
    const channel = known ?? { name, listeners: new Set(), standing: false, waiting: new Map() };
    channel.listeners.add(listener);
    if (known === undefined) {
      this.#channels.set(name, channel);
      if (this.#link.whole) {
        void this.#begin(channel);
      }
    } else if (channel.standing) {
      this.#tell(() => listener.onStanding());
    }
    if (!channel.standing) {
      // Now, or when the connection is there again.
      await new Promise<void>((resolve, reject) => channel.waiting.set(listener, { resolve, reject }));
    }
    return { close: () => this.#leave(channel, listener) };
  }

  override renew(): void {
    this.#link.reconnectSubscriber();
  }

  override async close(): Promise<void> {
    for (const channel of this.#channels.values()) {
      this.#forget(channel);
    }
    await this.#link.close();
  }

  /** Whoever still waits for it need not: nothing will come. */
  #forget(channel: Channel): void {
    this.#channels.delete(channel.name);
    this.#letGo(channel);
  }

  #letGo({ waiting }: Channel): void {
    waiting.forEach(({ resolve }) => resolve());
    waiting.clear();
  }

  /** Who waits hears why; who was subscribed before stays, for the next connection. */
  #refuse(channel: Channel, cause: unknown): void {
    for (const [listener, { reject }] of channel.waiting) {
      channel.listeners.delete(listener);
      reject(new CacheStoreUnavailableError('subscribe', cause));
    }
    channel.waiting.clear();
    if (channel.listeners.size === 0) {
      this.#channels.delete(channel.name);
    }
  }

  async #leave(channel: Channel, listener: ChannelListener): Promise<void> {
    if (channel.listeners.delete(listener) && channel.listeners.size === 0) {
      this.#forget(channel);
      await this.#link.unsubscribe(channel.name);
    }
  }

  /** Where the connection was lost, the next one begins anew. */
  async #begin(channel: Channel): Promise<void> {
    const losses = this.#losses;
    try {
      await this.#acknowledge(channel);
    } catch (error) {
      if (losses === this.#losses) {
        this.#refuse(channel, error);
      }
      this.#logger.debug(`A channel could not be subscribed (${String(error)}).`);
    }
  }

  async #acknowledge(channel: Channel): Promise<void> {
    const losses = this.#losses;
    await this.#link.subscribe(channel.name);
    if (losses !== this.#losses) {
      // It was acknowledged by a connection that is gone.
      return;
    }
    channel.standing = true;
    this.#tellAll(channel, (listener) => listener.onStanding());
    this.#letGo(channel);
  }

  #resubscribe(): void {
    for (const channel of this.#channels.values()) {
      void this.#begin(channel);
    }
  }

  #lose(reason: string): void {
    this.#losses += 1;
    for (const channel of this.#channels.values()) {
      if (channel.standing) {
        channel.standing = false;
        this.#tellAll(channel, (listener) => listener.onLost(reason));
      }
    }
  }

  #hear(name: string, text: string): void {
    const channel = this.#channels.get(name);
    if (channel?.standing === true) {
      this.#tellAll(channel, (listener) => listener.onText(text));
    }
  }

  #tellAll(channel: Channel, call: (listener: ChannelListener) => void): void {
    for (const listener of channel.listeners) {
      this.#tell(() => call(listener));
    }
  }

  /** One listener's mistake is not the next one's. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger.error('A listener of a channel failed.', error instanceof Error ? error.stack : undefined);
    }
  }
}
