import {
  InvalidationBus,
  type InvalidationListener,
  type InvalidationSubscription,
} from '../../invalidation/invalidation.bus.js';

/** A backplane that loses what is published while it is cut. By default it announces that, as the port demands; `silent` breaks the promise. */
export class LossyInvalidationBus extends InvalidationBus {
  readonly #listeners = new Set<InvalidationListener>();
  #cut = false;
  #lost = 0;

  constructor(
    private readonly bus: InvalidationBus,
    private readonly options: { readonly silent?: boolean | undefined } = {},
  ) {
    super();
  }

  /** Messages that were lost. */
  get lost(): number {
    return this.#lost;
  }

  override async subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    this.#listeners.add(listener);
    const subscription = await this.bus.subscribe(channel, {
      onMessage: (message) => {
        if (this.#cut) {
          this.#lost++;
        } else {
          listener.onMessage(message);
        }
      },
      onUntrusted: (reason) => listener.onUntrusted(reason),
      onTrusted: () => listener.onTrusted(),
    });
    return {
      close: () => {
        this.#listeners.delete(listener);
        return subscription.close();
      },
    };
  }

  /** Loses every message from now on. */
  cut(): void {
    this.#cut = true;
    if (this.options.silent !== true) {
      for (const listener of this.#listeners) {
        listener.onUntrusted('The line was cut.');
      }
    }
  }

  /** Delivers again. */
  mend(): void {
    this.#cut = false;
    if (this.options.silent !== true) {
      for (const listener of this.#listeners) {
        listener.onTrusted();
      }
    }
  }
}
