/** A call of a handler that waits for the test to answer it. */
export interface HeldCall<TInput, TContext, TAnswer> {
  /** What the handler was called with: an item, or the items of a batch. */
  readonly input: TInput;
  readonly context: TContext;
  /** Lets the handler answer. */
  answer(value: TAnswer): void;
  /** Lets the handler throw. */
  fail(error: Error): void;
}

/**
 * A handler whose calls end when the test says so, in the order that it likes.
 *
 * @example
 * ```ts
 * const calls = new HeldCalls<readonly string[], BatchContext, void>();
 * const worker = new AutoBatchWorker({ name: 'test', handler: calls.handler }, { clock });
 * worker.tryEnqueue('a');
 * await clock.settle();
 * calls.next().answer();
 * ```
 */
export class HeldCalls<TInput, TContext, TAnswer> {
  readonly #open: HeldCall<TInput, TContext, TAnswer>[] = [];
  #started = 0;

  /** The handler to pass to a worker or queue. */
  readonly handler = (input: TInput, context: TContext): Promise<TAnswer> =>
    new Promise((resolve, reject) => {
      this.#started++;
      this.#open.push({ input, context, answer: resolve, fail: reject });
    });

  /** Calls up to now. */
  get started(): number {
    return this.#started;
  }

  /** Calls that wait for their answer, oldest first. */
  get open(): readonly HeldCall<TInput, TContext, TAnswer>[] {
    return this.#open;
  }

  /**
   * Takes an open call out, to answer it; without `index` the oldest.
   *
   * @throws Error when there is none.
   */
  next(index = 0): HeldCall<TInput, TContext, TAnswer> {
    const [call] = this.#open.splice(index, 1);
    if (call === undefined) {
      throw new Error(`No open call ${index}: ${this.#started} were started, ${this.#open.length} are open.`);
    }
    return call;
  }
}
