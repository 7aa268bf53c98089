import { CacheClosedError, CacheOverloadedError } from '../redis-cache.errors.js';

interface Waiting {
  enter(): void;
  refuse(error: Error): void;
}

/** Lets few loaders through at once while the store is down, so that its outage does not become the database's. */
export class OutageGate {
  readonly #queue: Waiting[] = [];
  #running = 0;
  #closed = false;

  constructor(
    private readonly limits: {
      readonly namespace: string;
      readonly outageConcurrency: number;
      readonly outageQueue: number;
    },
  ) {}

  /**
   * Runs `work` when there is room.
   *
   * @throws {@link CacheOverloadedError} when too many wait already, {@link CacheClosedError} when closed meanwhile.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      throw new CacheClosedError(this.limits.namespace);
    }
    if (this.#running < this.limits.outageConcurrency) {
      this.#running++;
    } else {
      // Whoever leaves hands its place on, so `running` stays as it is.
      await this.#place();
    }
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) {
        this.#running--;
      } else {
        next.enter();
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) {
      waiting.refuse(new CacheClosedError(this.limits.namespace));
    }
  }

  #place(): Promise<void> {
    if (this.#queue.length >= this.limits.outageQueue) {
      throw new CacheOverloadedError(this.limits.namespace, this.limits.outageQueue);
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ enter: resolve, refuse: reject });
    });
  }
}
