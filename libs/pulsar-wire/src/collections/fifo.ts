/** Slots of a new queue; a power of two, as every later size is. */
const FIRST_SLOTS = 16;

/**
 * First in, first out, in a ring that grows: a steady stream through it allocates nothing, and what has left it is referenced no more. An array with
 * a moving head holds on to what it gave out for as long as it is never empty, and a busy queue never is.
 */
export class Fifo<T extends object> {
  #slots: (T | undefined)[] = free(FIRST_SLOTS);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The next to leave. */
  get first(): T | undefined {
    return this.#slots[this.#head];
  }

  push(item: T): void {
    if (this.#size === this.#slots.length) {
      this.#slots = [...this, ...free<T>(this.#size)];
      this.#head = 0;
    }
    this.#slots[(this.#head + this.#size) & (this.#slots.length - 1)] = item;
    this.#size++;
  }

  shift(): T | undefined {
    const item = this.#slots[this.#head];
    if (item !== undefined) {
      this.#slots[this.#head] = undefined;
      this.#head = (this.#head + 1) & (this.#slots.length - 1);
      this.#size--;
    }
    return item;
  }

  /** The first of which it holds: goes through all, for what seldom happens. */
  find(test: (item: T) => boolean): T | undefined {
    for (const item of this) {
      if (test(item)) {
        return item;
      }
    }
    return undefined;
  }

  /** Takes one out of the middle; the others keep their order. Copies all, for what seldom happens. */
  remove(item: T): void {
    for (const other of this.takeAll()) {
      if (other !== item) {
        this.push(other);
      }
    }
  }

  /** Takes all of them, the first first, and gives the room back. */
  takeAll(): readonly T[] {
    const items = [...this];
    this.#slots = free(FIRST_SLOTS);
    this.#head = 0;
    this.#size = 0;
    return items;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let index = 0; index < this.#size; index++) {
      const item = this.#slots[(this.#head + index) & (this.#slots.length - 1)];
      if (item !== undefined) {
        yield item;
      }
    }
  }
}

function free<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
