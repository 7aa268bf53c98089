import type { Loan } from './loan.js';

/** Where one item of an entry stands. */
const enum Item {
  Open = 0,
  Returned = 1,
  Acknowledged = 2,
}

/**
 * What became of the items of one batch entry: the broker knows the entry, the application its items.
 *
 * Kept for one connection's life and carried by the message ids of the entry, so that an acknowledgement that comes late, even after
 * a reconnect, still knows which of its neighbours are done.
 */
export class BatchEntry {
  readonly #items: Uint8Array;
  #remaining: number;
  #isDone = false;
  /** The first delivery of the entry. */
  #first: BatchEntry | undefined;
  /** One for each time that it came, as long as something remains. */
  readonly #loans: Loan[] = [];

  constructor(
    readonly ledgerId: bigint,
    readonly entryId: bigint,
    readonly size: number,
  ) {
    this.#items = new Uint8Array(size);
    this.#remaining = size;
  }

  /** Items not acknowledged yet; the entry itself may be acknowledged at 0 and no earlier. */
  get remaining(): number {
    return this.#remaining;
  }

  /** One delivery of the entry was wholly acknowledged. */
  get isDone(): boolean {
    return this.#remaining === 0 || (this.#first ?? this).#isDone;
  }

  /** The entry was delivered before, and items of that delivery may be acknowledged still. */
  comesAgain(earlier: BatchEntry): void {
    this.#first = earlier.#first ?? earlier;
  }

  /** The application holds none of its items: each is acknowledged or given back. */
  get isAtRest(): boolean {
    return !this.#items.includes(Item.Open);
  }

  /** The memory of its items, until each of them is acknowledged. */
  lend(loan: Loan | undefined): void {
    if (loan !== undefined) {
      this.#loans.push(loan);
    }
  }

  /** Whether this acknowledgement is news. */
  acknowledge(index: number): boolean {
    if (index < 0 || index >= this.size || this.#items[index] === Item.Acknowledged) {
      return false;
    }
    this.#items[index] = Item.Acknowledged;
    this.#remaining--;
    if (this.#remaining === 0) {
      (this.#first ?? this).#isDone = true;
      this.#loans.splice(0).forEach((loan) => loan.giveBack());
    }
    return true;
  }

  /** Everything up to and including `index`. */
  acknowledgeThrough(index: number): void {
    for (let item = 0; item <= index; item++) {
      this.acknowledge(item);
    }
  }

  isAcknowledged(index: number): boolean {
    return this.#items[index] === Item.Acknowledged;
  }

  /** The application gave the item back: it may be handed out again. */
  giveBack(index: number): void {
    if (this.#items[index] === Item.Open) {
      this.#items[index] = Item.Returned;
    }
  }

  /**
   * Whether a redelivered item is to be handed out: neither acknowledged nor still with the application (the broker brings the whole
   * entry when one item of it was given back).
   */
  takeAgain(index: number): boolean {
    if (this.#items[index] !== Item.Returned) {
      return false;
    }
    this.#items[index] = Item.Open;
    return true;
  }

  /** The acknowledgement set in 32-bit halves, low half first: a 1 stands for an item that is still to be acknowledged. */
  ackSetHalves(): Int32Array {
    const halves = new Int32Array(Math.ceil(this.size / 64) * 2);
    for (let index = 0; index < this.size; index++) {
      if (this.#items[index] !== Item.Acknowledged) {
        const word = index >> 5;
        halves[word] = (halves[word] ?? 0) | (1 << (index & 31));
      }
    }
    return halves;
  }
}
