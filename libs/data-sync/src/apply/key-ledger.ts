/** Remembers the last so many distinct keys, oldest out first. */
export class KeyLedger {
  readonly #keys = new Set<string>();
  readonly #capacity: number;
  #forgotten = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Keys that left because there were too many. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get size(): number {
    return this.#keys.size;
  }

  add(key: string): void {
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size > this.#capacity) {
      const [oldest] = this.#keys;
      this.#keys.delete(oldest ?? key);
      this.#forgotten++;
    }
  }

  /** The keys as of now. */
  list(): readonly string[] {
    return [...this.#keys];
  }
}
