/** The number of one envelope, and the one before it. */
export interface EnvelopeNumber {
  readonly seq: bigint;
  readonly prevSeq: bigint | null;
}

/**
 * Numbers the envelopes of one feed per fence, densely from 1. A number that was given out is never given to other content: a page that is
 * offered again gets new ones, so a reader of the whole feed may see a gap that the row stamps then close, but never two contents under
 * one number.
 */
export class FeedNumbering {
  #fence: bigint | undefined;
  #last: bigint | null = null;

  /** The next number under `fence`; another fence starts anew. */
  next(fence: bigint): EnvelopeNumber {
    if (fence !== this.#fence) {
      this.#fence = fence;
      this.#last = null;
    }
    const prevSeq = this.#last;
    const seq = (prevSeq ?? 0n) + 1n;
    this.#last = seq;
    return { seq, prevSeq };
  }
}
