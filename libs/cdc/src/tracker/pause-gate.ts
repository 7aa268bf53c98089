/** Where a tracker stands still between two pages while it is paused. */
export class PauseGate {
  #paused = false;
  #standing = false;
  #open: (() => void) | undefined;

  /** A pause was asked for. */
  get paused(): boolean {
    return this.#paused;
  }

  /** The pause has begun: no page is running. */
  get standing(): boolean {
    return this.#standing;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#open?.();
  }

  /** Resolves at {@link resume}, or when `signal` aborts; leaves no listener. */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      return;
    }
    this.#standing = true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#open = undefined;
        resolve();
      };
      this.#open = done;
      signal.addEventListener('abort', done, { once: true });
    });
    this.#standing = false;
  }
}
