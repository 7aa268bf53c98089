import { PrefetchBudget } from '@smartpulse/pulsar-wire';
import { backoffDelayMs, type Clock, type Random, type Timer } from '@smartpulse/resilience';
import { RECONNECT_BACKOFF } from '../connection/startup.js';
import type { IncomingMessage, TransportConsumer, TransportConsumerListener } from '../transport/pulsar.transport.js';

/** After how long a message is given back that came behind the stop once more, in milliseconds. */
const RETURN_AGAIN_MS = 1_000;

/** One transport consumer and whether it is gone. */
export interface LinkedConsumer {
  readonly transport: TransportConsumer;
  /** The link that gave the permit, and gets it back. */
  readonly link: SubscriptionLink;
  lost: boolean;
}

/** What a {@link SubscriptionLink} is made of. */
export interface SubscriptionLinkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Messages that may be out at once. */
  readonly window: number;
  /** How many of those that are out are held back and take no place of the window. */
  readonly heldBack?: ((out: number) => number) | undefined;
  /** Payload bytes of messages that are out or on the way; `undefined`: their number alone counts. */
  readonly maxBytes?: number | undefined;
  /** What comes behind the stop is given back at once: another consumer can have it. */
  readonly returnsLate: boolean;
  readonly subscribe: (listener: TransportConsumerListener) => Promise<TransportConsumer>;
  readonly onMessage: (message: IncomingMessage, from: LinkedConsumer) => void;
  readonly onLost: (error: Error) => void;
  readonly onReconnectFailed: (error: unknown, attempt: number) => void;
  readonly onReconnected: () => void;
}

/**
 * Keeps a subscription connected: a consumer that its transport gives up is made anew, with growing waits. Owns the permits: messages that are
 * out and permits that are given never exceed the window together (and what is held back, on top), also while messages of a lost consumer are still out.
 */
export class SubscriptionLink {
  readonly #options: SubscriptionLinkOptions;
  readonly #budget: PrefetchBudget | undefined;
  #current: LinkedConsumer | undefined;
  #reconnectAttempt = 0;
  #timer: Timer | undefined;
  #reconnecting: Promise<void> | undefined;
  #paused = false;
  /** Messages taken and not settled, whichever consumer they came from. */
  #out = 0;
  /** Permits that are given to the present consumer and not used. */
  #given = 0;
  /** Messages that came behind the stop and were given back: no more of them than permits that the broker had. */
  readonly #returned = new Set<string>();
  #stopped = false;

  constructor(options: SubscriptionLinkOptions) {
    this.#options = options;
    this.#budget = options.maxBytes === undefined ? undefined : new PrefetchBudget(options.maxBytes);
  }

  /** Which attempt to come back is under way; 0 = connected. */
  get reconnectAttempt(): number {
    return this.#reconnectAttempt;
  }

  /** Whether there was a consumer once: what is lost of it is made anew without being asked. */
  get begun(): boolean {
    return this.#current !== undefined;
  }

  /** Whether messages are taken at all. */
  get open(): boolean {
    return !this.#stopped;
  }

  /** @throws what the transport says when the subscription cannot be made. */
  async connect(): Promise<void> {
    // Nothing is delivered before the first permit, so the listener finds `linked` set.
    let linked: LinkedConsumer | undefined;
    let closedBy: Error | undefined;
    const transport = await this.#options.subscribe({
      onMessage: (message) => {
        if (linked !== undefined && this.#stopped) {
          this.#late(linked, message);
        } else if (linked !== undefined) {
          this.#out++;
          if (linked === this.#current && this.#given > 0) {
            this.#given--;
          }
          this.#budget?.took(message.payload.byteLength);
          this.#options.onMessage(message, linked);
          this.topUp();
        }
      },
      onClosed: (error) => {
        closedBy = error;
        if (linked !== undefined) {
          this.#lose(linked, error);
        }
      },
    });
    linked = { transport, link: this, lost: false };
    if (this.#stopped) {
      await transport.close();
      return;
    }
    this.#current = linked;
    if (closedBy !== undefined) {
      this.#lose(linked, closedBy);
      return;
    }
    this.#given = 0;
    this.topUp();
  }

  /** Goes on to connect in the background, with growing waits, after {@link connect} has failed. */
  keepTrying(): void {
    if (!this.#stopped) {
      this.#scheduleReconnect();
    }
  }

  /** A message of so many bytes is settled, or of no concern any more: another may come. */
  settled(bytes: number): void {
    this.#out--;
    this.#budget?.released(bytes);
    this.topUp();
  }

  /**
   * Gives the permits that are free as soon as they are more than those that are given: half a window at a time, while all goes well, because
   * every word to the broker costs, and each one at once when nothing else is free. What a lost consumer is not given, the next one gets with
   * its window. Permits that would bring more bytes than may be out are not given.
   */
  topUp(): void {
    const { heldBack, window } = this.#options;
    const free = window + (heldBack?.(this.#out) ?? 0) - this.#out - this.#given;
    const count = Math.min(free, (this.#budget?.room ?? Number.POSITIVE_INFINITY) - this.#given);
    if (count > this.#given && !this.#paused && !this.#stopped && this.#current?.lost === false) {
      this.#given += count;
      this.#current.transport.permit(count);
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.topUp();
  }

  /** No more permits, and no more messages come out of it. */
  stopIntake(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Closes the transport's consumer: what it has not acknowledged goes to others. */
  async close(): Promise<void> {
    this.stopIntake();
    await this.#reconnecting;
    if (this.#current?.lost === false) {
      await this.#current.transport.close();
    }
  }

  /** Deletes the subscription; the transport's consumer is closed in any case. */
  async unsubscribe(): Promise<void> {
    this.stopIntake();
    await this.#reconnecting;
    try {
      await this.#current?.transport.unsubscribe();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * No permit can be taken back from the broker: until they are used up it sends. On Shared the next best consumer gets the message for the asking; on
   * Key_Shared it would come back to the same, and where the order is that of the topic it would bring with it what is being handled. They wait for
   * {@link close}.
   */
  #late(linked: LinkedConsumer, message: IncomingMessage): void {
    if (this.#options.returnsLate && !linked.lost) {
      const id = message.id.toString();
      // What comes back found nobody else: at once each time, it would go round as fast as the broker sends.
      linked.transport.nack(message.id, this.#returned.has(id) ? RETURN_AGAIN_MS : 0);
      this.#returned.add(id);
    }
  }

  #lose(linked: LinkedConsumer, error: Error): void {
    if (linked.lost) {
      return;
    }
    linked.lost = true;
    if (!this.#stopped) {
      this.#options.onLost(error);
      this.#scheduleReconnect();
    }
  }

  #scheduleReconnect(): void {
    this.#reconnectAttempt++;
    const { clock, random } = this.#options;
    this.#timer = clock.setTimer(backoffDelayMs(RECONNECT_BACKOFF, this.#reconnectAttempt, random), () => {
      this.#timer = undefined;
      this.#reconnecting = this.#reconnect();
    });
  }

  async #reconnect(): Promise<void> {
    try {
      await this.connect();
      if (this.#current?.lost === false) {
        this.#reconnectAttempt = 0;
        this.#options.onReconnected();
      }
    } catch (error) {
      if (!this.#stopped) {
        this.#options.onReconnectFailed(error, this.#reconnectAttempt);
        this.#scheduleReconnect();
      }
    }
  }
}
