const BOUNDS_MS: readonly number[] = Object.freeze([
  1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000,
  15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
]);

/** Percentiles of durations in milliseconds. */
export interface LagSnapshot {
  readonly count: number;
  /** Upper bound of the bucket that holds the median; `null` without a sample. */
  readonly p50Ms: number | null;
  /** Upper bound of the bucket that holds the 99th percentile; `null` without a sample. */
  readonly p99Ms: number | null;
  /** The largest sample. */
  readonly maxMs: number | null;
}

/** Counts durations in fixed buckets: plain integers, nothing grows. */
export class LagHistogram {
  readonly #buckets = new Uint32Array(BOUNDS_MS.length + 1);
  #count = 0;
  #maxMs = 0;

  /** Adds a sample; clocks that disagree may make it negative, which counts as 0. */
  record(durationMs: number): void {
    const ms = Math.max(0, durationMs);
    const found = BOUNDS_MS.findIndex((bound) => ms <= bound);
    const bucket = found === -1 ? BOUNDS_MS.length : found;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count++;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** The percentiles now. A bucket's bound is never shown above the largest sample. */
  snapshot(): LagSnapshot {
    return {
      count: this.#count,
      p50Ms: this.#percentile(0.5),
      p99Ms: this.#percentile(0.99),
      maxMs: this.#count === 0 ? null : this.#maxMs,
    };
  }

  #percentile(share: number): number | null {
    if (this.#count === 0) {
      return null;
    }
    let left = Math.ceil(this.#count * share);
    for (const [bucket, samples] of this.#buckets.entries()) {
      left -= samples;
      if (left <= 0) {
        return Math.min(BOUNDS_MS[bucket] ?? this.#maxMs, this.#maxMs);
      }
    }
    return this.#maxMs;
  }
}
