import { Logger } from '@nestjs/common';

/** What a subscriber hears from a {@link ChannelHub}. */
export interface HubListener<TMessage> {
  onMessage(message: TMessage): void;
  onUntrusted(reason: string): void;
  onTrusted(): void;
}

/** A subscription of a {@link ChannelHub}. */
export interface HubSubscription {
  close(): Promise<void>;
}

interface Subscriber<TMessage> {
  readonly listener: HubListener<TMessage>;
  readonly inbox: TMessage[];
  draining: boolean;
  /** Messages were dropped: the subscription is to be acknowledged anew. */
  lost: boolean;
  closed: boolean;
}

/**
 * The channels of the embedded server: every message reaches every subscriber of its channel in the order of publication, never inside
 * `publish`. A subscriber that does not keep up is told that messages were lost, as a broker would do by cutting it off.
 */
export class ChannelHub<TMessage> {
  readonly #logger = new Logger(ChannelHub.name);
  readonly #channels = new Map<string, Set<Subscriber<TMessage>>>();
  #published = 0;
  #delivered = 0;
  #pending = 0;

  constructor(private readonly maxPendingMessages: number) {}

  get counts(): { published: number; delivered: number; pending: number; subscribers: number } {
    let subscribers = 0;
    for (const channel of this.#channels.values()) {
      subscribers += channel.size;
    }
    return { published: this.#published, delivered: this.#delivered, pending: this.#pending, subscribers };
  }

  publish(channel: string, message: TMessage): void {
    this.#published++;
    for (const subscriber of this.#channels.get(channel) ?? []) {
      if (subscriber.lost) {
        continue;
      }
      if (subscriber.inbox.length >= this.maxPendingMessages) {
        this.#pending -= subscriber.inbox.splice(0).length;
        subscriber.lost = true;
      } else {
        subscriber.inbox.push(message);
        this.#pending++;
      }
      this.#drain(subscriber);
    }
  }

  async subscribe(channel: string, listener: HubListener<TMessage>): Promise<HubSubscription> {
    const subscriber: Subscriber<TMessage> = { listener, inbox: [], draining: false, lost: false, closed: false };
    const subscribers = this.#channels.get(channel) ?? new Set<Subscriber<TMessage>>();
    subscribers.add(subscriber);
    this.#channels.set(channel, subscribers);
    listener.onTrusted();
    return {
      close: async () => {
        subscriber.closed = true;
        this.#pending -= subscriber.inbox.splice(0).length;
        subscribers.delete(subscriber);
        if (subscribers.size === 0) {
          this.#channels.delete(channel);
        }
      },
    };
  }

  /** Ends every subscription: its listener is told. */
  close(reason: string): void {
    for (const subscribers of this.#channels.values()) {
      for (const subscriber of subscribers) {
        subscriber.closed = true;
        this.#pending -= subscriber.inbox.splice(0).length;
        this.#tell(() => subscriber.listener.onUntrusted(reason));
      }
    }
    this.#channels.clear();
  }

  #drain(subscriber: Subscriber<TMessage>): void {
    if (subscriber.draining) {
      return;
    }
    subscriber.draining = true;
    queueMicrotask(() => {
      subscriber.draining = false;
      if (subscriber.lost && !subscriber.closed) {
        subscriber.lost = false;
        this.#tell(() =>
          subscriber.listener.onUntrusted('More messages were published than this subscriber could take.'),
        );
        this.#tell(() => subscriber.listener.onTrusted());
      }
      for (let message = subscriber.inbox.shift(); message !== undefined; message = subscriber.inbox.shift()) {
        const heard = message;
        this.#pending--;
        this.#delivered++;
        this.#tell(() => subscriber.listener.onMessage(heard));
      }
    });
  }

  /** One listener's mistake is not the next one's. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger.error(
        'A listener of the embedded cache server failed.',
        error instanceof Error ? error.stack : undefined,
      );
    }
  }
}
