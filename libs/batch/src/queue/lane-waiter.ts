import type { AbortTarget } from '../abort/abort-listeners.js';
import type { GateWaiter } from '../capacity/capacity-gate.js';
import type { LinkedListMembership } from '../capacity/linked-list.js';
import type { KeyLane } from './key-lane.js';

/** What a waiter asks of its intake. */
export interface LaneWaiterOwner<TKey, TItem> {
  /** Global room has been taken for the waiter. */
  admitted(waiter: LaneWaiter<TKey, TItem>): void;
  /** The waiter's signal aborted. */
  calledOff(waiter: LaneWaiter<TKey, TItem>, reason: unknown): void;
}

/** A caller that waits for room: first for a place of its key, then for one of the whole queue. */
export class LaneWaiter<TKey, TItem> implements GateWaiter<LaneWaiter<TKey, TItem>>, AbortTarget {
  readonly weight = 1;
  previous: LaneWaiter<TKey, TItem> | undefined = undefined;
  next: LaneWaiter<TKey, TItem> | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;
  readonly #owner: LaneWaiterOwner<TKey, TItem>;

  constructor(
    owner: LaneWaiterOwner<TKey, TItem>,
    readonly lane: KeyLane<TKey, TItem>,
    readonly item: TItem,
    readonly signal: AbortSignal | undefined,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
  ) {
    this.#owner = owner;
  }

  admit(): void {
    this.#owner.admitted(this);
  }

  callOff(reason: unknown): void {
    this.#owner.calledOff(this, reason);
  }
}
