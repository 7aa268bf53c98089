import { BulkheadFullError } from '../resilience.errors.js';
import type { Call } from './call.js';
import type { ResolvedBulkhead } from './resolve-policy.js';

/** Places for runs that go side by side. A place that is given back goes to the one who waits longest, never to a newcomer. */
export class Bulkhead {
  readonly #waiting = new Set<() => void>();
  #active = 0;

  constructor(
    private readonly policy: string,
    private readonly options: ResolvedBulkhead,
  ) {}

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for a place.
   *
   * @throws {@link BulkheadFullError} at once when no more may wait; the reason when the call is interrupted.
   */
  acquire(call: Call): Promise<void> | undefined {
    if (this.#active < this.options.limit) {
      this.#active += 1;
      return undefined;
    }
    if (this.#waiting.size >= this.options.queueLimit) {
      throw new BulkheadFullError(this.policy, this.options.limit, this.options.queueLimit);
    }
    return new Promise<void>((resolve, reject) => {
      const take = (): void => {
        call.listen(undefined);
        resolve();
      };
      this.#waiting.add(take);
      call.listen(({ reason }) => {
        this.#waiting.delete(take);
        reject(reason);
      });
    });
  }

  /** Gives a place back. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#active -= 1;
    } else {
      // Handed over: the place never looks free in between.
      this.#waiting.delete(next);
      next();
    }
  }
}
