import { AbortListeners } from '../abort/abort-listeners.js';
import { CapacityGate } from '../capacity/capacity-gate.js';
import { LinkedList } from '../capacity/linked-list.js';
import { KeyLane } from './key-lane.js';
import { LaneWaiter } from './lane-waiter.js';
import type { QueueCounters } from './queue-counters.js';

/** Room for one more item: `taken`, or the bound that refuses it. */
export type Room = 'taken' | 'capacity' | 'maxPerKey';

/**
 * The keys that have items, and the room that they take: globally and per key. A caller waits first for a place of its key, then for one of
 * the whole queue, so that a full key holds up nobody else; in both it is first come, first served.
 */
export class KeyedIntake<TKey, TItem> {
  readonly #lanes = new Map<TKey, KeyLane<TKey, TItem>>();
  readonly #gate: CapacityGate<LaneWaiter<TKey, TItem>>;
  readonly #aborts = new AbortListeners<LaneWaiter<TKey, TItem>>((waiter, reason) => this.#calledOff(waiter, reason));
  readonly #maxPerKey: number;
  readonly #accepted: (lane: KeyLane<TKey, TItem>) => void;
  readonly #counters: QueueCounters;
  #waiting = 0;

  /** @param accepted called for each item that has been appended to its lane. */
  constructor(
    capacity: number,
    maxPerKey: number,
    counters: QueueCounters,
    accepted: (lane: KeyLane<TKey, TItem>) => void,
  ) {
    this.#counters = counters;
    this.#gate = new CapacityGate(capacity, Number.POSITIVE_INFINITY, (waiter) => this.#admitted(waiter));
    this.#maxPerKey = maxPerKey;
    this.#accepted = accepted;
  }

  /** Items accepted and not settled. */
  get size(): number {
    return this.#gate.items;
  }

  /** Keys that are known. */
  get keys(): number {
    return this.#lanes.size;
  }

  /** Callers that wait for room. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Abort signals that are listened to. */
  get listenedSignals(): number {
    return this.#aborts.size;
  }

  /** Accepts the item if there is room and nobody waits for it. */
  offer(key: TKey, item: TItem): Room {
    const known = this.#lanes.get(key);
    if (known !== undefined && !this.#hasPlace(known)) {
      return 'maxPerKey';
    }
    if (!this.#gate.tryTake(1)) {
      return 'capacity';
    }
    this.#append(known ?? this.#open(key), item);
    return 'taken';
  }

  /** Resolves when the item has been accepted. Only after {@link offer} said no. */
  wait(key: TKey, item: TItem, signal: AbortSignal | undefined): Promise<void> {
    const lane = this.#lanes.get(key) ?? this.#open(key);
    return new Promise<void>((resolve, reject) => {
      const waiter = new LaneWaiter(lane, item, signal, resolve, reject);
      this.#waiting++;
      if (signal !== undefined) {
        this.#aborts.watch(signal, waiter);
      }
      if (this.#hasPlace(lane)) {
        lane.reserved++;
        this.#gate.wait(waiter);
      } else {
        lane.waiters ??= new LinkedList();
        lane.waiters.push(waiter);
      }
    });
  }

  /** The first item of the lane is settled: its room goes to whoever waits longest for it. */
  settleHead(lane: KeyLane<TKey, TItem>): void {
    lane.dropHead();
    if (lane.head === undefined) {
      lane.state = 'vacant';
    }
    this.#gate.release(1, 1);
    this.#freePlaces(lane);
  }

  /** Rejects everybody who waits for room. */
  refuseWaiters(error: () => Error): void {
    const refuse = (waiter: LaneWaiter<TKey, TItem>): void => {
      this.#forget(waiter);
      this.#counters.refused++;
      waiter.reject(error());
    };
    for (let first = this.#gate.waiters.shift(); first !== undefined; first = this.#gate.waiters.shift()) {
      first.lane.reserved--;
      refuse(first);
    }
    for (const lane of this.#lanes.values()) {
      for (let first = lane.waiters?.shift(); first !== undefined; first = lane.waiters?.shift()) {
        refuse(first);
      }
      this.#dispose(lane);
    }
  }

  /** All lanes, in the order in which their keys came. */
  lanes(): Iterable<KeyLane<TKey, TItem>> {
    return this.#lanes.values();
  }

  /** Forgets every item and key. Nobody waits any more. */
  clear(): void {
    this.#gate.release(this.#gate.items, this.#gate.weight);
    this.#lanes.clear();
  }

  #open(key: TKey): KeyLane<TKey, TItem> {
    const lane = new KeyLane<TKey, TItem>(key);
    this.#lanes.set(key, lane);
    return lane;
  }

  #append(lane: KeyLane<TKey, TItem>, item: TItem): void {
    lane.append(item);
    this.#counters.accepted++;
    this.#accepted(lane);
  }

  /** Whether the key may take one more. Nobody waits for that place: whoever did has moved on when it became free. */
  #hasPlace(lane: KeyLane<TKey, TItem>): boolean {
    return lane.size + lane.reserved < this.#maxPerKey;
  }

  #admitted(waiter: LaneWaiter<TKey, TItem>): void {
    waiter.lane.reserved--;
    this.#forget(waiter);
    this.#append(waiter.lane, waiter.item);
    waiter.resolve();
  }

  #calledOff(waiter: LaneWaiter<TKey, TItem>, reason: unknown): void {
    const { lane } = waiter;
    this.#waiting--;
    this.#counters.refused++;
    if (waiter.list === this.#gate.waiters) {
      lane.reserved--;
      this.#gate.leave(waiter);
    } else {
      lane.waiters?.remove(waiter);
    }
    waiter.reject(reason);
    this.#freePlaces(lane);
  }

  /** Moves those who wait for a place of the key on to the wait for global room, as far as there are places; then frees the key. */
  #freePlaces(lane: KeyLane<TKey, TItem>): void {
    while (lane.waiters !== undefined && this.#hasPlace(lane)) {
      const waiter = lane.waiters.shift();
      if (waiter === undefined) {
        break;
      }
      lane.reserved++;
      if (this.#gate.tryTake(1)) {
        this.#admitted(waiter);
      } else {
        this.#gate.wait(waiter);
      }
    }
    this.#dispose(lane);
  }

  #forget(waiter: LaneWaiter<TKey, TItem>): void {
    this.#waiting--;
    if (waiter.signal !== undefined) {
      this.#aborts.unwatch(waiter.signal, waiter);
    }
  }

  #dispose(lane: KeyLane<TKey, TItem>): void {
    if (lane.isDisposable) {
      this.#lanes.delete(lane.key);
    }
  }
}
