/**
 * Collects what is asked for in one turn of the event loop, so that it leaves together: a command costs as much as the rest of a request, and is paid once for all of
 * them. What is asked for on its own waits for the end of the turn only.
 */
export class Gathered<T> {
  #items: T[] = [];
  #weight = 0;

  /** @param atMost of weights together: more would only make the first wait for the last. */
  constructor(
    private readonly atMost: number,
    private readonly send: (items: readonly T[]) => void,
  ) {}

  /** The last one that was added and has not left yet. */
  get last(): T | undefined {
    return this.#items.at(-1);
  }

  /** What would be too much leaves with the next ones. */
  add(item: T, weight = 1): void {
    if (this.#weight + weight > this.atMost) {
      this.leave();
    }
    this.#weight += weight;
    const items = this.#items;
    if (items.push(item) === 1) {
      setImmediate(() => {
        if (items === this.#items) {
          this.leave();
        }
      });
    }
  }

  /** Sends what there is, if anything. */
  leave(): void {
    const items = this.#items;
    this.#items = [];
    this.#weight = 0;
    if (items.length > 0) {
      this.send(items);
    }
  }
}
