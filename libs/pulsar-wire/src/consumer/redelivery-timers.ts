import type { Clock, Timer } from '../client/time.js';
import type { NackBackoff } from './consumer.options.js';
import type { HandedOutId } from './handed-out-id.js';

/** After a listener threw, its message comes again no sooner. */
export const LISTENER_FAILED_DELAY_MS = 1_000;

/** Messages that fall due within so many milliseconds come back together. */
const TICK_MS = 10;

/** Messages given back, until their delay is over. */
export class RedeliveryTimers {
  readonly #buckets = new Map<number, { readonly ids: HandedOutId[]; readonly timer: Timer }>();

  constructor(
    private readonly clock: Clock,
    private readonly onDue: (ids: readonly HandedOutId[]) => void,
  ) {}

  /** Messages that wait. */
  get size(): number {
    let size = 0;
    for (const { ids } of this.#buckets.values()) {
      size += ids.length;
    }
    return size;
  }

  add(id: HandedOutId, delayMs: number): void {
    const nowMs = this.clock.monotonic();
    // Rounded up: never sooner than asked for.
    const dueMs = Math.ceil((nowMs + Math.max(0, delayMs)) / TICK_MS) * TICK_MS;
    const bucket = this.#buckets.get(dueMs);
    if (bucket !== undefined) {
      bucket.ids.push(id);
      return;
    }
    const timer = this.clock.setTimer(dueMs - nowMs, () => {
      const due = this.#buckets.get(dueMs);
      this.#buckets.delete(dueMs);
      this.onDue(due?.ids ?? []);
    });
    this.#buckets.set(dueMs, { ids: [id], timer });
  }

  /** Forgets them all: they come again by themselves. */
  clear(): void {
    for (const { timer } of this.#buckets.values()) {
      timer.cancel();
    }
    this.#buckets.clear();
  }
}

/** How long a message that is given back waits, by how often it was delivered before. */
export function nackDelayMs(backoff: NackBackoff | undefined, redeliveryCount: number): number {
  return backoff === undefined
    ? 0
    : Math.min(backoff.maxMs, backoff.initialMs * (backoff.multiplier ?? 2) ** redeliveryCount);
}
