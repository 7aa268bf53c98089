import type { LinkedList } from '../capacity/linked-list.js';
import type { Timer } from '@smartpulse/resilience';
import type { LaneWaiter } from './lane-waiter.js';

/** One accepted item of a key. */
export interface LaneItem<TItem> {
  readonly item: TItem;
  next: LaneItem<TItem> | undefined;
  /** Calls of the handler up to now. */
  attempts: number;
}

/**
 * Where a key is. `vacant`: no items, kept only because somebody waits for room in it. `ready`: in the FIFO of keys. `running`: a handler has its first
 * item. `held`: the handler is done with it, its end is not known yet. `retrying`: its first item waits for its next attempt. `parked`: like it, but for good: the queue drains.
 */
export type LaneState = 'vacant' | 'ready' | 'running' | 'held' | 'retrying' | 'parked';

/**
 * The items of one key in their order. It is in exactly one state, so two handlers can never have the same key.
 */
export class KeyLane<TKey, TItem> {
  state: LaneState = 'vacant';
  head: LaneItem<TItem> | undefined = undefined;
  /** Accepted and not settled, the one in the handler included. */
  size = 0;
  /** Waiters for the global capacity that have a place of this key already. */
  reserved = 0;
  /** Waiters for a place of this key; made when first needed. */
  waiters: LinkedList<LaneWaiter<TKey, TItem>> | undefined = undefined;
  /** The lane behind it in the FIFO of ready keys. */
  nextReady: KeyLane<TKey, TItem> | undefined = undefined;
  retryTimer: Timer | undefined = undefined;
  #tail: LaneItem<TItem> | undefined = undefined;

  constructor(readonly key: TKey) {}

  /** Whether the map has no more reason to know the key. */
  get isDisposable(): boolean {
    return this.size === 0 && this.reserved === 0 && (this.waiters === undefined || this.waiters.size === 0);
  }

  append(item: TItem): void {
    const node: LaneItem<TItem> = { item, next: undefined, attempts: 0 };
    if (this.#tail === undefined) {
      this.head = node;
    } else {
      this.#tail.next = node;
    }
    this.#tail = node;
    this.size++;
  }

  /** Takes the first item out: it is settled. */
  dropHead(): void {
    this.head = this.head?.next;
    if (this.head === undefined) {
      this.#tail = undefined;
    }
    this.size--;
  }
}

/** The FIFO of keys that have work and no handler. */
export class ReadyLanes<TKey, TItem> {
  #head: KeyLane<TKey, TItem> | undefined;
  #tail: KeyLane<TKey, TItem> | undefined;

  get isEmpty(): boolean {
    return this.#head === undefined;
  }

  push(lane: KeyLane<TKey, TItem>): void {
    lane.state = 'ready';
    if (this.#tail === undefined) {
      this.#head = lane;
    } else {
      this.#tail.nextReady = lane;
    }
    this.#tail = lane;
  }

  shift(): KeyLane<TKey, TItem> | undefined {
    const lane = this.#head;
    if (lane !== undefined) {
      this.#head = lane.nextReady;
      lane.nextReady = undefined;
      if (this.#head === undefined) {
        this.#tail = undefined;
      }
    }
    return lane;
  }

  clear(): void {
    this.#head = undefined;
    this.#tail = undefined;
  }
}
