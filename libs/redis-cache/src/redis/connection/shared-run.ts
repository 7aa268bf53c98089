/** Work that runs once at a time: who asks while it runs shares the run that begins after it, because what the running one looks at may be older. */
export class SharedRun {
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(private readonly work: () => Promise<void>) {}

  run(): Promise<void> {
    if (this.#running === undefined) {
      return this.#begin();
    }
    const begin = (): Promise<void> => {
      this.#next = undefined;
      return this.#begin();
    };
    // The one that runs may fail; its own callers are told.
    this.#next ??= this.#running.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<void> {
    const running = this.work().finally(() => {
      if (this.#running === running) {
        this.#running = undefined;
      }
    });
    this.#running = running;
    return running;
  }
}
