const WEIGHT = 0.2;

/** How long loads of a namespace took lately, on this replica: what a load now will take. */
export class LoadTiming {
  #meanMs: number | undefined;

  /** A loader answered. */
  note(durationMs: number): void {
    this.#meanMs = this.#meanMs === undefined ? durationMs : this.#meanMs + WEIGHT * (durationMs - this.#meanMs);
  }

  /** Milliseconds; `undefined`: none has run. */
  get meanMs(): number | undefined {
    return this.#meanMs;
  }
}
