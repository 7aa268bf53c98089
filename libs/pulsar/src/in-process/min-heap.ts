/** A binary heap: the entry of the smallest rank first, O(log n). Ranks are unique or their order does not matter. */
export class MinHeap<T extends object> {
  readonly #rank: (item: T) => number;
  readonly #items: T[] = [];

  constructor(rank: (item: T) => number) {
    this.#rank = rank;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    const rank = this.#rank(item);
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || this.#rank(above) <= rank) {
        break;
      }
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) {
      this.#sink(last);
    }
    return first;
  }

  clear(): void {
    this.#items.length = 0;
  }

  #sink(item: T): void {
    const items = this.#items;
    const rank = this.#rank(item);
    let at = 0;
    for (;;) {
      const child = this.#smallerChild(at);
      const below = items[child];
      if (below === undefined || this.#rank(below) >= rank) {
        break;
      }
      items[at] = below;
      at = child;
    }
    items[at] = item;
  }

  #smallerChild(at: number): number {
    const left = 2 * at + 1;
    const leftItem = this.#items[left];
    const rightItem = this.#items[left + 1];
    const rightIsSmaller =
      leftItem !== undefined && rightItem !== undefined && this.#rank(rightItem) < this.#rank(leftItem);
    return rightIsSmaller ? left + 1 : left;
  }
}
