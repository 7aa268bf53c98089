import type { Clock, Timer } from '../client/time.js';
import type { HandedOutId } from './handed-out-id.js';

/** Parts that the timeout is divided in: a message falls due no sooner than the timeout, and at most one part later. */
const PARTS = 10;

/** Messages that are with the application, until they are settled or their time is over. Costs two entries of a map a message. */
export class AckTimeouts {
  readonly #partMs: number;
  readonly #bucketOf = new Map<HandedOutId, Set<HandedOutId>>();
  readonly #buckets = new Map<number, { readonly ids: Set<HandedOutId>; readonly timer: Timer }>();

  private constructor(
    private readonly clock: Clock,
    private readonly timeoutMs: number,
    private readonly onDue: (ids: readonly HandedOutId[]) => void,
  ) {
    this.#partMs = Math.ceil(timeoutMs / PARTS);
  }

  /** Watches nothing where there is no timeout. */
  static of(
    clock: Clock,
    timeoutMs: number | undefined,
    onDue: (ids: readonly HandedOutId[]) => void,
  ): AckTimeouts | undefined {
    return timeoutMs === undefined || timeoutMs === 0 ? undefined : new AckTimeouts(clock, timeoutMs, onDue);
  }

  /** Messages that are watched. */
  get size(): number {
    return this.#bucketOf.size;
  }

  add(id: HandedOutId): void {
    const nowMs = this.clock.monotonic();
    const dueMs = Math.ceil((nowMs + this.timeoutMs) / this.#partMs) * this.#partMs;
    let bucket = this.#buckets.get(dueMs);
    if (bucket === undefined) {
      bucket = { ids: new Set(), timer: this.clock.setTimer(dueMs - nowMs, () => this.#due(dueMs)) };
      this.#buckets.set(dueMs, bucket);
    }
    bucket.ids.add(id);
    this.#bucketOf.set(id, bucket.ids);
  }

  /** The message is settled, or given back. */
  remove(id: HandedOutId): void {
    this.#bucketOf.get(id)?.delete(id);
    this.#bucketOf.delete(id);
  }

  /** The message and all before it are settled. */
  removeThrough(last: HandedOutId): void {
    for (const id of this.#bucketOf.keys()) {
      if (id.compareTo(last) <= 0) {
        this.remove(id);
      }
    }
  }

  /** Forgets them all: they come again by themselves. */
  clear(): void {
    for (const { timer } of this.#buckets.values()) {
      timer.cancel();
    }
    this.#buckets.clear();
    this.#bucketOf.clear();
  }

  #due(dueMs: number): void {
    const ids = [...(this.#buckets.get(dueMs)?.ids ?? [])];
    this.#buckets.delete(dueMs);
    for (const id of ids) {
      this.#bucketOf.delete(id);
    }
    if (ids.length > 0) {
      this.onDue(ids);
    }
  }
}
