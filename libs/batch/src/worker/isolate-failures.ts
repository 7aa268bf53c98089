import type { BatchResult } from './batch-call.js';
import { type BatchOutcome, nothing } from './batch-outcome.js';

/** Hands a part of a batch to the handler; `attempt` counts from 1. */
export type PartCall<TItem, TResult> = (items: readonly TItem[], attempt: number) => Promise<BatchResult<TResult>>;

/** Most calls that isolating the failures of a batch of `items` may cost after the first one. */
export function maxIsolationCalls(items: number): number {
  return 4 * Math.ceil(Math.log2(Math.max(2, items))) + 4;
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly attempt: number;
  /** Why the batch that it is a half of failed. */
  readonly error: Error;
}

/**
 * Halves a batch that failed as a whole until the items that make it fail are alone, within {@link maxIsolationCalls} calls; what is not
 * decided by then, or when `signal` aborts, is rejected with the error of the smallest part that held it.
 *
 * The handler sees the items in their order: a left half is settled to its last item before the right one begins.
 */
export async function isolateFailures<TItem, TResult>(
  items: readonly TItem[],
  error: Error,
  call: PartCall<TItem, TResult>,
  signal: AbortSignal,
): Promise<Extract<BatchResult<TResult>, { readonly status: 'itemised' }>> {
  const outcomes = items.map((): BatchOutcome<TResult> => ({ status: 'rejected', error }));
  const untried = halvesOf({ from: 0, to: items.length, attempt: 1, error });
  let callsLeft = maxIsolationCalls(items.length);
  const settle = ({ from, to }: Part, outcome: BatchOutcome<TResult>): void => {
    for (let index = from; index < to; index++) {
      outcomes[index] = outcome;
    }
  };

  for (let part = untried.pop(); part !== undefined; part = untried.pop()) {
    const { from, to, attempt } = part;
    if (callsLeft === 0 || signal.aborted) {
      settle(part, { status: 'rejected', error: part.error });
      continue;
    }
    callsLeft--;
    const result = await call(items.slice(from, to), attempt);
    switch (result.status) {
      case 'completed':
        settle(part, { status: 'fulfilled', value: nothing() });
        break;
      case 'itemised':
        result.outcomes.forEach((outcome, index) => {
          outcomes[from + index] = outcome;
        });
        break;
      case 'failed':
        if (result.isolable && to - from > 1) {
          untried.push(...halvesOf({ from, to, attempt, error: result.error }));
        } else {
          settle(part, { status: 'rejected', error: result.error });
        }
        break;
    }
  }
  return { status: 'itemised', outcomes };
}

/** The right half first: the last one is the next one tried. */
function halvesOf({ from, to, attempt, error }: Part): Part[] {
  const middle = Math.ceil((from + to) / 2);
  return [
    { from: middle, to, attempt: attempt + 1, error },
    { from, to: middle, attempt: attempt + 1, error },
  ];
}
