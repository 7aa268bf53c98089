/** A piece of memory that many frames lie in. Whoever keeps a view on one holds it; it is filled anew only when nobody does. */
export class IntakeSlab {
  #holds = 0;

  /** @param onFree called whenever the last hold is released. */
  constructor(
    readonly bytes: Buffer,
    private readonly onFree: (slab: IntakeSlab) => void,
  ) {}

  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** Keeps the bytes as they are, until {@link release}; for ever without it. */
  hold(): void {
    this.#holds++;
  }

  /** Once per {@link hold}. */
  release(): void {
    this.#holds--;
    if (this.#holds === 0) {
      this.onFree(this);
    }
  }
}
