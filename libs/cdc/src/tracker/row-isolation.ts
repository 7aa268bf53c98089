import type { RowChange } from '../change/row-change.js';
import type { AcceptOutcome } from '../sink/change.sink.js';

/** More changes of one page that fail are no change's fault. */
const MOST_ISOLATED = 10;

/** Hands changes to the sink; rejects as it does. */
export type Offer = (changes: readonly RowChange[]) => Promise<readonly AcceptOutcome[]>;

/**
 * Finds the change that a sink fails at, by halves, after a page has failed so many times in a row. One is given up only where the sink
 * accepts others of its page, before and after: an outage is no change's fault, and spends none.
 */
export class RowIsolation {
  readonly #maxAttempts: number;
  readonly #signal: AbortSignal;
  #failures = 0;

  /** @param maxAttempts left out: whatever fails is offered again, for ever. */
  constructor(maxAttempts: number | undefined, signal: AbortSignal) {
    this.#maxAttempts = maxAttempts ?? Number.POSITIVE_INFINITY;
    this.#signal = signal;
  }

  /** @throws what the sink throws. */
  async accept(changes: readonly RowChange[], offer: Offer): Promise<readonly AcceptOutcome[]> {
    try {
      const outcomes = await offer(changes);
      this.#failures = 0;
      return outcomes;
    } catch (error) {
      this.#failures += 1;
      if (this.#signal.aborted || this.#failures < this.#maxAttempts) {
        throw error;
      }
      return await this.#isolate(changes, offer, error);
    }
  }

  async #isolate(changes: readonly RowChange[], offer: Offer, error: unknown): Promise<readonly AcceptOutcome[]> {
    const outcomes: AcceptOutcome[] = [];
    const accepted: RowChange[] = [];
    let isolated = 0;
    const rest: (readonly RowChange[])[] = halvesOf(changes);
    for (let some = rest.pop(); some !== undefined; some = rest.pop()) {
      try {
        outcomes.push(...(await offer(some)));
        accepted.splice(0, 1, ...some.slice(0, 1));
      } catch (cause) {
        this.#signal.throwIfAborted();
        if (some.length > 1) {
          rest.push(...halvesOf(some));
          continue;
        }
        isolated += 1;
        if (isolated > MOST_ISOLATED) {
          throw error;
        }
        outcomes.push({
          status: 'poison',
          error: cause instanceof Error ? cause : new Error(String(cause), { cause }),
        });
      }
    }
    if (accepted.length === 0) {
      throw error;
    }
    // Accepting twice is harmless, and shows that the sink did not fail meanwhile.
    await offer(accepted);
    this.#failures = 0;
    return outcomes;
  }
}

/** The second half first: the other one is taken from the end. A single change has none: it has just failed alone. */
function halvesOf(changes: readonly RowChange[]): (readonly RowChange[])[] {
  const half = Math.ceil(changes.length / 2);
  return changes.length > 1 ? [changes.slice(half), changes.slice(0, half)] : [];
}
