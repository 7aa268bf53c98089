import type { Attributes, Histogram } from '@opentelemetry/api';

/** Held at most; more are recorded at once. */
const CAPACITY = 128;

/**
 * Durations of one series, handed to the histogram many at a time: a record in the middle of other work costs the SDK more processor time than one among its
 * like. {@link flush} goes before each collection, so that a collection misses none.
 */
export class Durations {
  readonly #histogram: Histogram;
  readonly #attributes: Attributes;
  /** Seconds. */
  readonly #held = new Float64Array(CAPACITY);
  #count = 0;
  #capacity = CAPACITY;

  constructor(histogram: Histogram, attributes: Attributes) {
    this.#histogram = histogram;
    this.#attributes = attributes;
  }

  add(durationMs: number): void {
    this.#held[this.#count++] = durationMs / 1_000;
    if (this.#count >= this.#capacity) {
      this.flush();
    }
  }

  /** Records what is held. */
  flush(): void {
    const held = this.#count;
    this.#count = 0;
    for (let index = 0; index < held; index++) {
      this.#histogram.record(this.#held[index] ?? 0, this.#attributes);
    }
  }

  /** Nobody asks any more: records what is held, and from now on each at once. */
  end(): void {
    this.#capacity = 1;
    this.flush();
  }
}
