/** A promise that is settled from outside. Nobody has to wait for it: a rejection without anybody is none of the process's concern. */
export class Deferred {
  readonly promise: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    ignoreUnasked(this.promise);
  }

  resolve(): void {
    this.#resolve();
  }

  reject(error: Error): void {
    this.#reject(error);
  }
}

/** The rejection reaches whoever awaits the promise; without anybody it is no unhandled one. */
export function ignoreUnasked(promise: Promise<unknown>): void {
  promise.then(nothing, nothing);
}

function nothing(): void {
  // Whoever awaits the promise itself gets the value or the error.
}
