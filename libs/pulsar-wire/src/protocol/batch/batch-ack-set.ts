/** Whether message `index` is still to be delivered, by the ack set of MESSAGE; words that are missing mean acknowledged. */
export function isPending(ackSet: Int32Array, index: number): boolean {
  return ((ackSet[index >> 5] ?? 0) & (1 << (index & 31))) !== 0;
}

/** Which messages of one batch are still to be acknowledged; {@link toBits} is what an acknowledgement carries. */
export class BatchAckSet {
  readonly #bits: Int32Array;
  #pending: number;

  /**
   * @param size messages in the batch.
   * @param ackSet what the broker says remains; undefined: all of them.
   */
  constructor(
    readonly size: number,
    ackSet?: Int32Array,
  ) {
    this.#bits = new Int32Array(Math.ceil(size / 64) * 2);
    this.#pending = 0;
    for (let index = 0; index < size; index++) {
      if (ackSet === undefined || isPending(ackSet, index)) {
        this.#bits[index >> 5]! |= 1 << (index & 31);
        this.#pending++;
      }
    }
  }

  /** Messages not yet acknowledged; at 0 the whole entry is. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether message `index` is not yet acknowledged. */
  has(index: number): boolean {
    return isPending(this.#bits, index);
  }

  /** Marks one as acknowledged; `false`: it was already. */
  acknowledge(index: number): boolean {
    if (!this.has(index)) {
      return false;
    }
    this.#bits[index >> 5]! &= ~(1 << (index & 31));
    this.#pending--;
    return true;
  }

  /** What remains, in 32-bit halves of 64-bit words without trailing zero words, as a Java BitSet is written. */
  toBits(): Int32Array {
    let length = this.#bits.length;
    while (length > 0 && this.#bits[length - 1] === 0 && this.#bits[length - 2] === 0) {
      length -= 2;
    }
    return this.#bits.slice(0, length);
  }
}
