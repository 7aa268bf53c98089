import type { RowChange } from '../change/row-change.js';
import type { AcceptOutcome } from '../sink/change.sink.js';

/** More changes of one page that fail are no change's fault. */
const MOST_ISOLATED = 10;

/** Hands changes to the sink; rejects as it does. */
export type Offer = (changes: readonly RowChange[]) => Promise<readonly AcceptOutcome[]>;

/** A change that failed alone, and its place in the page. */
interface Suspect {
  readonly index: number;
  readonly change: RowChange;
}

/**
 * Finds the change that a sink fails at, by halves, after a page has failed so many times in a row. One is given up only where it fails alone
 * twice, the second time between two offers of another one of its page that the sink accepts: an outage that begins or ends meanwhile, or a
 * passing failure of one offer, is no change's fault.
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
    const { outcomes, suspects, witness } = await this.#search(changes, offer, error);
    if (witness === undefined) {
      throw error;
    }
    // Accepting twice is harmless, and shows that the sink does not fail by itself now, nor did meanwhile.
    await offer([witness]);
    for (const { index, change } of suspects) {
      try {
        outcomes.splice(index, 1, ...(await offer([change])));
      } catch (cause) {
        this.#signal.throwIfAborted();
        outcomes[index] = {
          status: 'poison',
          error: cause instanceof Error ? cause : new Error(String(cause), { cause }),
        };
      }
    }
    await offer([witness]);
    this.#failures = 0;
    return outcomes;
  }

  /** The outcomes in the order of the page, one that says nothing yet at the place of each suspect; and a change that was accepted, if any was. */
  async #search(changes: readonly RowChange[], offer: Offer, error: unknown) {
    const outcomes: AcceptOutcome[] = [];
    const suspects: Suspect[] = [];
    let witness: RowChange | undefined;
    const rest: (readonly RowChange[])[] = halvesOf(changes);
    for (let some = rest.pop(); some !== undefined; some = rest.pop()) {
      try {
        outcomes.push(...(await offer(some)));
        [witness] = some;
      } catch {
        this.#signal.throwIfAborted();
        if (some.length > 1) {
          rest.push(...halvesOf(some));
          continue;
        }
        if (suspects.length >= MOST_ISOLATED) {
          throw error;
        }
        suspects.push(...some.map((change) => ({ index: outcomes.length, change })));
        outcomes.push({ status: 'accepted' });
      }
    }
    return { outcomes, suspects, witness };
  }
}

/** The second half first: the other one is taken from the end. A single change has none: it has just failed alone. */
function halvesOf(changes: readonly RowChange[]): (readonly RowChange[])[] {
  const half = Math.ceil(changes.length / 2);
  return changes.length > 1 ? [changes.slice(half), changes.slice(0, half)] : [];
}
