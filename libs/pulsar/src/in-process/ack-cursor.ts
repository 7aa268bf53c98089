/** What a subscription has acknowledged: everything below `floor`, and single positions above it. */
export class AckCursor {
  readonly #above = new Set<number>();
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  /** The first position that is not acknowledged. */
  get floor(): number {
    return this.#floor;
  }

  /** Positions acknowledged above the floor. */
  get above(): number {
    return this.#above.size;
  }

  has(position: number): boolean {
    return position < this.#floor || this.#above.has(position);
  }

  add(position: number): void {
    if (position !== this.#floor) {
      if (position > this.#floor) {
        this.#above.add(position);
      }
      return;
    }
    this.#floor++;
    while (this.#above.size > 0 && this.#above.delete(this.#floor)) {
      this.#floor++;
    }
  }
}
