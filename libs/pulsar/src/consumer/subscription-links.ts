import type { SubscriptionLink } from './subscription-link.js';

/** The links of one consumer as one: its topic's, and its retry topic's where it has one. */
export class SubscriptionLinks {
  readonly #links: readonly SubscriptionLink[];

  constructor(links: readonly SubscriptionLink[]) {
    this.#links = links;
  }

  /** Which attempt to come back is under way on the one that needs most; 0 = all are connected. */
  get reconnectAttempt(): number {
    return Math.max(...this.#links.map((link) => link.reconnectAttempt));
  }

  /** Whether messages are taken at all. */
  get open(): boolean {
    return this.#links.every((link) => link.open);
  }

  /**
   * Connects what is not connected yet; may be called again when it has failed.
   *
   * @throws what the transport says when a subscription cannot be made.
   */
  async connect(): Promise<void> {
    const missing = this.#links.filter((link) => !link.begun);
    await allDone(missing.map((link) => link.connect()));
  }

  /** Goes on to connect in the background what is not connected yet. */
  keepTrying(): void {
    this.#links.filter((link) => !link.begun).forEach((link) => link.keepTrying());
  }

  /** Handlers are free: takes what it may. */
  topUp(): void {
    this.#links.forEach((link) => link.topUp());
  }

  pause(): void {
    this.#links.forEach((link) => link.pause());
  }

  resume(): void {
    this.#links.forEach((link) => link.resume());
  }

  /** No more permits, no more messages. */
  stopIntake(): void {
    this.#links.forEach((link) => link.stopIntake());
  }

  /** Closes the transport's consumers: what they have not acknowledged goes to others. */
  async close(): Promise<void> {
    await allDone(this.#links.map((link) => link.close()));
  }

  /** Deletes the subscriptions; the transport's consumers are closed in any case. */
  async unsubscribe(): Promise<void> {
    await allDone(this.#links.map((link) => link.unsubscribe()));
  }
}

/** Waits for all of them, whatever becomes of some. @throws the first failure. */
async function allDone(works: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(works);
  for (const result of results) {
    if (result.status === 'rejected') {
      throw result.reason;
    }
  }
}
