/** The waits before retries of one app's policies: each has a timer, and none may outlive the app. */
export class RetryWaits {
  readonly #ends = new Set<() => void>();
  #closed = false;

  /** `true` once the app has stopped: nobody begins to wait any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Adds a wait.
   *
   * @param end ends it early, when the app stops.
   * @returns takes it out again.
   */
  add(end: () => void): () => void {
    this.#ends.add(end);
    return () => void this.#ends.delete(end);
  }

  /** Ends them all. */
  close(): void {
    this.#closed = true;
    const ends = [...this.#ends];
    this.#ends.clear();
    ends.forEach((end) => end());
  }
}
