const MAX_OPEN = 10_000;
/** So many open numbers are given up at once: replicas that share a subscription leave gaps all the time. */
const GIVEN_UP = 1_000;

/**
 * Which numbers of a feed are settled, as far as one consumer sees: everything up to a mark, and some above it. Bounded: when too many are
 * open above the mark, the lowest of them no longer wait
 * for what is between them.
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
      this.#giveUpLowest();
    }
    while (this.#above.delete(this.#mark + 1n)) {
      this.#mark++;
    }
  }

  #giveUpLowest(): void {
    const lowest = [...this.#above].sort((a, b) => (a < b ? -1 : 1)).slice(0, GIVEN_UP);
    lowest.forEach((seq) => this.#above.delete(seq));
    this.#mark = lowest.at(-1) ?? this.#mark;
  }

  /** Whether everything up to `seq` of `fence` is settled here. */
  covers(fence: bigint, seq: bigint): boolean {
    return fence < this.#fence || (fence === this.#fence && seq <= this.#mark);
  }
}
