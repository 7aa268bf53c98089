import { PrefetchBudget } from './prefetch-budget.js';

/**
 * The book of permits between three parties: the caller allows messages, the broker is told of it, the local queue holds what a
 * batch brought beyond what was allowed.
 *
 * One equation rules: what the broker may still send plus what lies in the queue is what the caller allows, or less, where bytes are counted, too. So everything that the
 * client drops (stale, corrupt, compacted) is made good by itself, an entry's indexes that the broker did not charge are never
 * credited, and after a reconnect the whole window is told anew.
 */
export class PermitWindow {
  readonly #budget: PrefetchBudget | undefined;
  #allowed = 0;
  #atBroker = 0;

  /** @param maxBytes of messages that are on the way or not done with; `undefined`: their number alone counts. */
  constructor(maxBytes: number | undefined) {
    this.#budget = maxBytes === undefined ? undefined : new PrefetchBudget(maxBytes);
  }

  /** Messages that may still be handed to the caller. */
  get allowed(): number {
    return this.#allowed;
  }

  /** What the broker's counter stands at, by our book; below 0 after a batch larger than the window. */
  get atBroker(): number {
    return this.#atBroker;
  }

  /** So many more messages; as many of those that were received are done with. */
  allow(count: number): void {
    this.#allowed += count;
    this.#budget?.releasedSome(count);
  }

  /** A message lies in the queue. */
  queued(bytes: number): void {
    this.#budget?.took(bytes);
  }

  /** A message left the queue and was not handed out. */
  dropped(bytes: number): void {
    this.#budget?.released(bytes);
  }

  /** One message was handed to the caller. */
  handedOut(): void {
    this.#allowed--;
  }

  /** The broker sent an entry and charged `count` messages for it. */
  charged(count: number): void {
    this.#atBroker -= count;
  }

  /** A new registration at the broker begins at 0. */
  detached(): void {
    this.#atBroker = 0;
  }

  /**
   * How many permits to tell the broker now; 0 = none, which must never be sent (the broker closes the connection). Held back until
   * half of the window is used up, so that a window of 1,000 takes a command per 500 messages.
   */
  takeDue(queued: number): number {
    const wanted = this.#allowed - queued;
    const due = (this.#budget === undefined ? wanted : Math.min(wanted, this.#budget.room)) - this.#atBroker;
    if (due <= 0 || due < this.#atBroker) {
      return 0;
    }
    this.#atBroker += due;
    return due;
  }
}
