/** An instant that callers wait for, however many: one promise for all who ask before it comes, made only when somebody asks. */
export class AwaitedInstant {
  #promise: Promise<void> | undefined;
  #resolve: (() => void) | undefined;

  /** Resolves when it comes next. */
  next(): Promise<void> {
    this.#promise ??= new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
    return this.#promise;
  }

  /** It is here. */
  reach(): void {
    this.#resolve?.();
    this.#promise = undefined;
    this.#resolve = undefined;
  }
}
