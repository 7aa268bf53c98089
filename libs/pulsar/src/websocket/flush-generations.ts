import { Fifo } from '../in-process/fifo.js';

/** The sends between two flushes. */
export interface Generation {
  open: number;
}

interface Boundary {
  readonly generation: Generation;
  readonly resolve: () => void;
}

/** Tells when everything that was sent before a flush is settled, in whatever order that happens. */
export class FlushGenerations {
  readonly #boundaries = new Fifo<Boundary>();
  #current: Generation = { open: 0 };

  /** Somebody waits. */
  get flushing(): boolean {
    return this.#boundaries.size > 0;
  }

  /** Counts a send; the answer is for {@link leave}. */
  enter(): Generation {
    this.#current.open++;
    return this.#current;
  }

  leave(generation: Generation): void {
    generation.open--;
    for (
      let boundary = this.#boundaries.peek();
      boundary !== undefined && boundary.generation.open === 0;
      boundary = this.#boundaries.peek()
    ) {
      this.#boundaries.shift();
      boundary.resolve();
    }
  }

  /** Resolves when every send that was counted before has left. */
  flush(): Promise<void> {
    if (this.#current.open === 0 && this.#boundaries.size === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#boundaries.push({ generation: this.#current, resolve });
      this.#current = { open: 0 };
    });
  }
}
