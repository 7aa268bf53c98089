import { type ChannelListener, ChannelTransport, type TransportSubscription } from '../../channel/channel.transport.js';

/** A transport whose line can be cut, with or without saying so. */
export class LossyChannelTransport extends ChannelTransport {
  readonly #listeners = new Set<ChannelListener>();
  #line: 'whole' | 'cut' | 'deaf' = 'whole';
  #refused: Error | undefined;
  #lost = 0;
  #renewed = 0;
  #closed = false;

  constructor(private readonly transport: ChannelTransport) {
    super();
  }

  override get shared(): boolean {
    return this.transport.shared;
  }

  /** Texts that were not delivered, one per listener. */
  get lost(): number {
    return this.#lost;
  }

  /** Calls of {@link renew}. */
  get renewed(): number {
    return this.#renewed;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  override publish(channel: string, text: string): Promise<void> {
    return this.#refused === undefined ? this.transport.publish(channel, text) : Promise.reject(this.#refused);
  }

  override async subscribe(channel: string, listener: ChannelListener): Promise<TransportSubscription> {
    this.#listeners.add(listener);
    const subscription = await this.transport.subscribe(channel, {
      onText: (text) => {
        if (this.#line === 'whole') {
          listener.onText(text);
        } else {
          this.#lost += 1;
        }
      },
      onLost: (reason) => listener.onLost(reason),
      onStanding: () => listener.onStanding(),
    });
    return {
      close: () => {
        this.#listeners.delete(listener);
        return subscription.close();
      },
    };
  }

  /** Mends a line that is deaf, as a new connection would. */
  override renew(): void {
    this.#renewed += 1;
    this.#listeners.forEach((listener) => listener.onLost('It was renewed.'));
    this.mend();
  }

  override close(): Promise<void> {
    this.#closed = true;
    return this.transport.close();
  }

  /** Loses every text from now on, and says so. */
  cut(): void {
    this.#line = 'cut';
    this.#listeners.forEach((listener) => listener.onLost('The line was cut.'));
  }

  /** Loses every text from now on, and says nothing. */
  deafen(): void {
    this.#line = 'deaf';
  }

  /** Delivers again; says so where it had said that it was lost. */
  mend(): void {
    this.#line = 'whole';
    this.#listeners.forEach((listener) => listener.onStanding());
  }

  /** Delivers again and says nothing: texts are missing in between. */
  undeafen(): void {
    this.#line = 'whole';
  }

  /** Refuses what is published, or accepts it again. */
  refuse(error: Error | undefined): void {
    this.#refused = error;
  }
}
