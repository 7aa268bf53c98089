import type { GateWaiter } from '../capacity/capacity-gate.js';
import type { LinkedListMembership } from '../capacity/linked-list.js';
import type { KeyLane } from './key-lane.js';

/** A caller that waits for room: first for a place of its key, then for one of the whole queue. */
export class LaneWaiter<TKey, TItem> implements GateWaiter<LaneWaiter<TKey, TItem>> {
  readonly weight = 1;
  previous: LaneWaiter<TKey, TItem> | undefined = undefined;
  next: LaneWaiter<TKey, TItem> | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;

  constructor(
    readonly lane: KeyLane<TKey, TItem>,
    readonly item: TItem,
    readonly signal: AbortSignal | undefined,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
  ) {}
}
