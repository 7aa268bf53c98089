import type { IntakeSlab } from '../protocol/frame/intake-slab.js';

/** The memory of one entry, the application's until it is done with the entry's messages. Dropped without a word it is never used again. */
export class Loan {
  #memory: IntakeSlab | undefined;

  /** @param memory held for this loan. */
  constructor(memory: IntakeSlab) {
    this.#memory = memory;
  }

  /** Nobody reads there any more. Idempotent. */
  giveBack(): void {
    const memory = this.#memory;
    this.#memory = undefined;
    memory?.release();
  }
}
