import type { AbortTarget } from '../abort/abort-listeners.js';
import type { GateWaiter } from '../capacity/capacity-gate.js';
import type { LinkedListMembership } from '../capacity/linked-list.js';

/** What an entry asks of its worker. */
export interface EntryOwner<TItem, TResult> {
  /** Room has been taken for the entry. */
  admitted(entry: BatchEntry<TItem, TResult>): void;
  /** The entry's signal aborted while it waited for room or for its batch. */
  calledOff(entry: BatchEntry<TItem, TResult>, reason: unknown): void;
}

/** The two ends of a promise that somebody waits for. */
export interface Settler<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** One item on its way: waiting for room, queued, in the handler, settled. In one of them at a time. */
export class BatchEntry<TItem, TResult> implements GateWaiter<BatchEntry<TItem, TResult>>, AbortTarget {
  previous: BatchEntry<TItem, TResult> | undefined = undefined;
  next: BatchEntry<TItem, TResult> | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;
  /** Who waits for the item to be accepted (`enqueue`), until it is. */
  admission: Settler<void> | undefined = undefined;
  /** Who waits for the result (`submit`), until it is there. */
  submitter: Settler<TResult> | undefined = undefined;
  /** The signal that is watched for this entry now. */
  signal: AbortSignal | undefined = undefined;
  readonly #owner: EntryOwner<TItem, TResult>;

  constructor(
    owner: EntryOwner<TItem, TResult>,
    readonly item: TItem,
    readonly weight: number,
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
