import type { GateWaiter } from '../capacity/capacity-gate.js';
import type { LinkedListMembership } from '../capacity/linked-list.js';

/**
 * One item on its way: waiting for room, queued, in the handler, settled. In one of them at a time. There is one for each item, so it holds its
 * caller's promise itself and knows nothing of its worker.
 */
export class BatchEntry<TItem, TResult> implements GateWaiter<BatchEntry<TItem, TResult>> {
  previous: BatchEntry<TItem, TResult> | undefined = undefined;
  next: BatchEntry<TItem, TResult> | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;
  /** Tells a caller of `enqueue` that the item is accepted; gone when it is. */
  accept: (() => void) | undefined = undefined;
  /** Gives a caller of `submit` the result. */
  resolve: ((value: TResult) => void) | undefined = undefined;
  /** Tells whoever waits, for either of the two, why it does so in vain; `undefined`: nobody does. */
  reject: ((error: unknown) => void) | undefined = undefined;
  /** The signal that is watched for this entry now. */
  signal: AbortSignal | undefined = undefined;

  constructor(
    readonly item: TItem,
    readonly weight: number,
  ) {}
}
