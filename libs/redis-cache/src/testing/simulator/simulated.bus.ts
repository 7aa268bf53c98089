import {
  InvalidationBus,
  type InvalidationListener,
  type InvalidationMessage,
  type InvalidationSubscription,
} from '../../invalidation/invalidation.bus.js';
import type { StepScheduler } from './step.scheduler.js';

/** How a line behaves, and who listens in. */
export interface BusTraits {
  /** Whether a lost connection is announced. */
  readonly announces: boolean;
  /** Whether the next message arrives twice. */
  readonly arrivesTwice?: (() => boolean) | undefined;
  /** Told of each message when the replica has heard it. */
  readonly onHeard?: ((message: InvalidationMessage) => void) | undefined;
}

/** One replica's line to the backplane: messages come in order, each as a step of its own; the line can be cut. */
export class SimulatedBus extends InvalidationBus {
  readonly #inbox: (InvalidationMessage | 'untrusted' | 'trusted')[] = [];
  #listener: InvalidationListener | undefined;
  #cut = false;

  constructor(
    private readonly bus: InvalidationBus,
    private readonly replica: string,
    private readonly scheduler: StepScheduler,
    private readonly traits: BusTraits,
  ) {
    super();
  }

  get cut(): boolean {
    return this.#cut;
  }

  override async subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    this.#listener = listener;
    return await this.bus.subscribe(channel, {
      onMessage: (message) => {
        if (!this.#cut) {
          this.#enqueue(message);
          if (this.traits.arrivesTwice?.() === true) {
            this.#enqueue(message);
          }
        }
      },
      onUntrusted: (reason) => listener.onUntrusted(reason),
      onTrusted: () => listener.onTrusted(),
    });
  }

  /** What is on its way is lost, and what follows; the replica notices later. */
  cutLine(): void {
    this.scheduler.note(`${this.replica}: line cut`);
    this.#cut = true;
    this.#inbox.length = 0;
    this.#enqueue('untrusted');
  }

  /** The subscription is acknowledged anew. */
  mendLine(): void {
    this.scheduler.note(`${this.replica}: line mended`);
    this.#cut = false;
    this.#enqueue('trusted');
  }

  /** The next message is lost. Its number is missing: whoever hears what follows, be it a sign of life, does not trust its first level, and subscribes anew. */
  loseMessage(): void {
    const lost = this.#inbox.findIndex((item) => typeof item !== 'string');
    if (lost >= 0) {
      this.scheduler.note(`${this.replica}: a message is lost`);
      this.#inbox.splice(lost, 1, 'untrusted', 'trusted');
      this.scheduler.add(`${this.replica}: hears that one is missing`, () => this.#deliver());
    }
  }

  /** Nothing is heard any more. */
  end(): void {
    this.#cut = true;
    this.#inbox.length = 0;
    this.#listener = undefined;
  }

  #enqueue(item: InvalidationMessage | 'untrusted' | 'trusted'): void {
    this.#inbox.push(item);
    this.scheduler.add(`${this.replica}: hears ${describe(item)}`, () => this.#deliver());
  }

  /** Each step delivers the head: chance decides when, not in which order. */
  #deliver(): void {
    const item = this.#inbox.shift();
    if (item === 'untrusted' || item === 'trusted') {
      if (this.traits.announces) {
        if (item === 'trusted') {
          this.#listener?.onTrusted();
        } else {
          this.#listener?.onUntrusted('The line was cut.');
        }
      }
    } else if (item !== undefined) {
      this.#listener?.onMessage(item);
      this.traits.onHeard?.(item);
    }
  }
}

function describe(item: InvalidationMessage | 'untrusted' | 'trusted'): string {
  return typeof item === 'string'
    ? item
    : `the next message (published after ${item.action} ${item.version?.version ?? ''})`;
}
