/** The sends between two flushes. */
export interface Generation {
  open: number;
}

interface Boundary {
  readonly generation: Generation;
  readonly resolve: () => void;
}

/** Tells when everything that was sent before a flush is settled, in whatever order that happens. A send costs no object: those of a frame leave together. */
export class FlushGenerations {
  #boundaries: Boundary[] = [];
  #current: Generation = { open: 0 };

  /** Somebody waits. */
  get flushing(): boolean {
    return this.#boundaries.length > 0;
  }

  /** Counts a send; the answer is for {@link leave}. */
  enter(): Generation {
    this.#current.open++;
    return this.#current;
  }

  leave(generation: Generation, count: number): void {
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
