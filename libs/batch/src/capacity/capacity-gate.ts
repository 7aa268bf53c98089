import { LinkedList, type ListNode } from './linked-list.js';

/** Somebody who waits for room. */
export interface GateWaiter<T> extends ListNode<T> {
  readonly weight: number;
}

/**
 * Room counted in items and in weight. Waiters are served strictly in their order: nobody overtakes the first one, so a heavy waiter gets
 * its room as soon as enough of it is free, however many light ones come after it.
 */
export class CapacityGate<TWaiter extends GateWaiter<TWaiter>> {
  readonly #capacityItems: number;
  readonly #capacityWeight: number;
  readonly #admitted: (waiter: TWaiter) => void;
  readonly #waiters = new LinkedList<TWaiter>();
  #items = 0;
  #weight = 0;

  /**
   * @param admitted called once for each waiter, when its room has been taken for it. Runs inside {@link release} and {@link leave}: it may not
   *   throw or call foreign code.
   */
  constructor(capacityItems: number, capacityWeight: number, admitted: (waiter: TWaiter) => void) {
    this.#capacityItems = capacityItems;
    this.#capacityWeight = capacityWeight;
    this.#admitted = admitted;
  }

  /** Items that have taken room. */
  get items(): number {
    return this.#items;
  }

  /** Weight that has taken room. */
  get weight(): number {
    return this.#weight;
  }

  /** Those who wait, first come first. */
  get waiters(): LinkedList<TWaiter> {
    return this.#waiters;
  }

  /** Takes room for one item; `false` when there is none or somebody waits already. */
  tryTake(weight: number): boolean {
    if (this.#waiters.size > 0 || !this.#fits(weight)) {
      return false;
    }
    this.#take(weight);
    return true;
  }

  /** Queues a waiter behind the others. Only after {@link tryTake} said no. */
  wait(waiter: TWaiter): void {
    this.#waiters.push(waiter);
  }

  /** Gives room back and admits, in order, exactly the waiters that fit into what is free now. */
  release(items: number, weight: number): void {
    this.#items -= items;
    // Sums of fractions drift; an empty gate is the moment to forget it.
    this.#weight = this.#items === 0 ? 0 : this.#weight - weight;
    this.#admit();
  }

  /** Takes a waiter out; those behind it may fit now. */
  leave(waiter: TWaiter): void {
    this.#waiters.remove(waiter);
    this.#admit();
  }

  #admit(): void {
    for (let first = this.#waiters.head; first !== undefined && this.#fits(first.weight); first = this.#waiters.head) {
      this.#waiters.remove(first);
      this.#take(first.weight);
      this.#admitted(first);
    }
  }

  #take(weight: number): void {
    this.#items++;
    this.#weight += weight;
  }

  #fits(weight: number): boolean {
    return this.#items < this.#capacityItems && (this.#items === 0 || this.#weight + weight <= this.#capacityWeight);
  }
}
