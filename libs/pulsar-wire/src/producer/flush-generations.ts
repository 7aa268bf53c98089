/** The sends between two flushes. */
export interface FlushGeneration {
  /** Those that have not left. */
  open: number;
}

interface Boundary {
  readonly generation: FlushGeneration;
  readonly resolve: () => void;
}

/**
 * Tells when everything that was sent before a flush is settled, in whatever order that happens. A send costs no object, and those of a frame may
 * leave together.
 *
 * @example
 * ```ts
 * const generation = flushes.enter();
 * void send(message).finally(() => flushes.leave(generation));
 * await flushes.flush(); // waits for it, and for nothing that is sent from now on
 * ```
 */
export class FlushGenerations {
  #boundaries: Boundary[] = [];
  #current: FlushGeneration = { open: 0 };

  /** Whether a flush waits for what was counted in it and has not left. */
  isAwaited(generation: FlushGeneration): boolean {
    return generation !== this.#current;
  }

  /** Counts a send; the answer is for {@link leave}. */
  enter(): FlushGeneration {
    this.#current.open++;
    return this.#current;
  }

  /** So many of its sends are settled, one way or the other. Default 1. */
  leave(generation: FlushGeneration, count = 1): void {
    generation.open -= count;
    if (this.#boundaries.length > 0 && generation.open === 0) {
      this.#resolve();
    }
  }

  /** Resolves when every send that was counted before has left. */
  flush(): Promise<void> {
    if (this.#current.open === 0 && this.#boundaries.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#boundaries.push({ generation: this.#current, resolve });
      this.#current = { open: 0 };
    });
  }

  #resolve(): void {
    const open = this.#boundaries.findIndex(({ generation }) => generation.open > 0);
    const settled = this.#boundaries.splice(0, open < 0 ? this.#boundaries.length : open);
    for (const { resolve } of settled) {
      resolve();
    }
  }
}
