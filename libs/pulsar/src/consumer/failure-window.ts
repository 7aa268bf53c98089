/** How the last handler runs ended. */
export class FailureWindow {
  readonly #failed: boolean[] = [];
  readonly #size: number;
  #at = 0;
  #failures = 0;

  /** @param size how many runs it looks at. */
  constructor(size: number) {
    this.#size = size;
  }

  /** The share of failed runs, 0 to 1; 0 until it has seen as many runs as it looks at. */
  get rate(): number {
    return this.#failed.length < this.#size ? 0 : this.#failures / this.#size;
  }

  add(failed: boolean): void {
    this.#failures += Number(failed) - Number(this.#failed[this.#at] ?? false);
    this.#failed[this.#at] = failed;
    this.#at = (this.#at + 1) % this.#size;
  }

  /** Begins anew. */
  clear(): void {
    this.#failed.length = 0;
    this.#at = 0;
    this.#failures = 0;
  }
}
