/** No page is made smaller because it took too long. */
const LEAST = 50;
/** Pages that must succeed before the next one may be larger again. */
const GROW_AFTER = 8;

/** How many rows to ask for at once: half as many after a request that took too long, and step by step as many as before. */
export class PageLimit {
  readonly #most: number;
  #now: number;
  #succeeded = 0;

  constructor(most: number) {
    this.#most = most;
    this.#now = most;
  }

  get rows(): number {
    return this.#now;
  }

  /** A page took too long. */
  halve(): void {
    this.#now = Math.min(this.#now, Math.max(LEAST, Math.trunc(this.#now / 2)));
    this.#succeeded = 0;
  }

  /** A page was read. */
  succeeded(): void {
    this.#succeeded += 1;
    if (this.#now < this.#most && this.#succeeded >= GROW_AFTER) {
      this.#now = Math.min(this.#most, this.#now * 2);
      this.#succeeded = 0;
    }
  }
}
