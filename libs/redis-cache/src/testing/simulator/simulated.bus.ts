import {
  InvalidationBus,
  type InvalidationListener,
  type InvalidationMessage,
  type InvalidationSubscription,
} from '../../invalidation/invalidation.bus.js';
import { SequenceWatch } from '../../redis/messages/sequence-watch.js';
import type { MessageOrigin } from '../../redis/messages/wire-message.js';
import type { NumberedMessages } from './numbered-messages.js';
import type { StepScheduler } from './step.scheduler.js';

/** How a line behaves, and who listens in. */
export interface BusTraits {
  /** Whether the replica hears that something may be lost. */
  readonly announces: boolean;
  /** Of all replicas. */
  readonly numbers: NumberedMessages;
  /** What decides that a message is missing; a twin may lack a rule. */
  readonly watch?: (() => SequenceWatch) | undefined;
  /** Whether the next message arrives twice. */
  readonly arrivesTwice?: (() => boolean) | undefined;
  /** Told of each message when the replica has heard it. */
  readonly onHeard?: ((message: InvalidationMessage) => void) | undefined;
}

/** What comes over the line, in order. */
type Item =
  | { readonly kind: 'message'; readonly message: InvalidationMessage; readonly origin: MessageOrigin }
  | { readonly kind: 'beat'; readonly origin: MessageOrigin }
  | { readonly kind: 'untrusted' | 'trusted' | 'settled' };

/**
 * One replica's line to the backplane: messages come in order, each as a step of its own; the line can be cut, or lose a message. Whether one is missing is decided as on Redis, by
 * the numbers of those who publish.
 */
export class SimulatedBus extends InvalidationBus {
  readonly #inbox: Item[] = [];
  /** No time passes here: everybody has been heard of when a step says so. */
  readonly #watch: SequenceWatch;
  #listener: InvalidationListener | undefined;
  #cut = false;

  constructor(
    private readonly bus: InvalidationBus,
    private readonly replica: string,
    private readonly scheduler: StepScheduler,
    private readonly traits: BusTraits,
  ) {
    super();
    this.#watch = traits.watch?.() ?? new SequenceWatch(0);
  }

  get cut(): boolean {
    return this.#cut;
  }

  override async subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    this.#listener = listener;
    return await this.bus.subscribe(channel, {
      onMessage: (message) => {
        const origin = this.traits.numbers.originOf(message);
        if (!this.#cut) {
          this.#enqueue({ kind: 'message', message, origin });
          if (this.traits.arrivesTwice?.() === true) {
            this.#enqueue({ kind: 'message', message, origin });
          }
        }
      },
      onUntrusted: (reason) => listener.onUntrusted(reason),
      onTrusted: () => {
        this.#watch.clear(0);
        listener.onTrusted();
      },
    });
  }

  /** What is on its way is lost, and what follows; the replica notices later. */
  cutLine(): void {
    this.scheduler.note(`${this.replica}: line cut`);
    this.#cut = true;
    this.#inbox.length = 0;
    this.#enqueue({ kind: 'untrusted' });
  }

  /** The subscription is acknowledged anew. */
  mendLine(): void {
    this.scheduler.note(`${this.replica}: line mended`);
    this.#cut = false;
    this.#enqueue({ kind: 'trusted' });
  }

  /** The next message is lost. What follows from its source shows that one is missing, if only a sign of life; and where it was the first that was to be heard of it, the end of the time for that. */
  loseMessage(): void {
    const lost = this.#inbox.findIndex(({ kind }) => kind === 'message');
    if (lost >= 0) {
      this.scheduler.note(`${this.replica}: a message is lost`);
      this.#inbox.splice(lost, 1);
      this.scheduler.add(`${this.replica}: everybody gives a sign of life`, () => {
        if (!this.#cut) {
          this.traits.numbers.beats().forEach((origin) => this.#enqueue({ kind: 'beat', origin }));
          this.#enqueue({ kind: 'settled' });
        }
      });
    }
  }

  /** Nothing is heard any more. */
  end(): void {
    this.#cut = true;
    this.#inbox.length = 0;
    this.#listener = undefined;
  }

  #enqueue(item: Item): void {
    this.#inbox.push(item);
    this.scheduler.add(`${this.replica}: hears ${describe(item)}`, () => this.#deliver());
  }

  /** Each step delivers the head: chance decides when, not in which order. */
  #deliver(): void {
    const item = this.#inbox.shift();
    switch (item?.kind) {
      case undefined:
        break;
      case 'untrusted':
        this.#announce((listener) => listener.onUntrusted('The line was cut.'));
        break;
      case 'trusted':
        this.#watch.clear(0);
        this.#announce((listener) => listener.onTrusted());
        break;
      case 'settled':
        if (this.#watch.settles(0)) {
          this.#announce((listener) => listener.onTrusted());
        }
        break;
      case 'beat':
        this.#follow(item.origin, true);
        break;
      case 'message':
        this.#follow(item.origin, false);
        this.#listener?.onMessage(item.message);
        this.traits.onHeard?.(item.message);
        break;
    }
  }

  #follow(origin: MessageOrigin, isBeat: boolean): void {
    if (this.#watch.misses(origin, isBeat)) {
      this.#announce((listener) => {
        listener.onUntrusted('A message is missing.');
        listener.onTrusted();
      });
    }
  }

  #announce(tell: (listener: InvalidationListener) => void): void {
    if (this.traits.announces && this.#listener !== undefined) {
      tell(this.#listener);
    }
  }
}

function describe(item: Item): string {
  return item.kind === 'message'
    ? `the next message (published after ${item.message.action} ${item.message.version?.version ?? ''})`
    : item.kind;
}
