const MAX_OPEN = 10_000;

/**
 * Which numbers of a feed are settled, as far as one consumer sees: everything up to a mark, and some above it. Bounded: when too many are
 * open above the mark, the mark moves to the lowest of them.
 */
export class SettledPositions {
  #fence = 0n;
  #mark = 0n;
  readonly #above = new Set<bigint>();

  /** Numbers of an older fence are no longer of interest. */
  settle(fence: bigint, seq: bigint): void {
    if (fence < this.#fence) {
      return;
    }
    if (fence > this.#fence) {
      this.#fence = fence;
      this.#mark = 0n;
      this.#above.clear();
    }
    if (seq > this.#mark) {
      this.#above.add(seq);
    }
    if (this.#above.size > MAX_OPEN) {
      this.#mark = [...this.#above].reduce((lowest, one) => (one < lowest ? one : lowest)) - 1n;
    }
    while (this.#above.delete(this.#mark + 1n)) {
      this.#mark++;
    }
  }

  /** Whether everything up to `seq` of `fence` is settled here. */
  covers(fence: bigint, seq: bigint): boolean {
    return fence < this.#fence || (fence === this.#fence && seq <= this.#mark);
  }
}
