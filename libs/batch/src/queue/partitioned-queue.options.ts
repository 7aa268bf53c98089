import { z } from 'zod';
/** What a handler is told about the item it gets. */
export interface PartitionedItemContext<TKey> {
  readonly key: TKey;
  /** How many times the handler has been given this item, from 1. */
  readonly attempt: number;
  /** Aborts when a drain has used up its time: stop and throw. One signal for the whole queue: remove listeners that you add. */
  readonly signal: AbortSignal;
}

/** Answered by a handler that wants the same item again: not before `retryAfterMs` milliseconds, and before any later item of its key. */
export interface RetryLater {
  readonly retryAfterMs: number;
}

/**
 * Answered by a handler that has done its work and waits for no more than an end (a receipt, a flush): its slot is free, while the item's key stays held until
 * `heldUntil` settles, as if the handler had answered then.
 */
export interface HeldUntil {
  readonly heldUntil: Promise<void | RetryLater>;
}

/** What a handler of an {@link AutoConcurrentPartitionedQueue} may answer, now or later. */
export type QueueAnswer = void | RetryLater | HeldUntil;

/** An item with its key, as a drain reports it. */
export interface KeyedItem<TKey, TItem> {
  readonly key: TKey;
  readonly item: TItem;
}

/** What an {@link AutoConcurrentPartitionedQueue} is made of. */
export interface PartitionedQueueOptions<TKey, TItem> {
  /** Names the queue in errors, logs, metrics and health. */
  readonly name: string;
  /**
   * Handles one item. At most one call per key runs at a time, in the order of acceptance. Answers nothing when it is done, or
   * {@link RetryLater}: the item stays at the head of its key and frees its slot while it waits; {@link HeldUntil}: the same until something else has ended.
   * A throw settles the item as failed.
   */
  handler(item: TItem, context: PartitionedItemContext<TKey>): Promise<QueueAnswer> | QueueAnswer;
  /** Told of each item whose handler threw. A throw of its own is logged. */
  onError(error: unknown, item: TItem, context: PartitionedItemContext<TKey>): void;
  /** Told whenever all that could start has started and a handler is free: what else is held waits behind another item of its key, or for its next attempt. */
  readonly onHungry?: (() => void) | undefined;
  /** Most handlers at once, over all keys. Default 16. */
  readonly concurrency?: number | undefined;
  /** Most items accepted and not yet settled. Default 10 000. */
  readonly capacity?: number | undefined;
  /** Most items of one key accepted and not yet settled, so that a slow key cannot take the whole capacity. Default: `capacity`. */
  readonly maxPerKey?: number | undefined;
  /** What `enqueue` does when there is no room: wait for it, or reject with `QueueFullError`. Default `wait`. */
  readonly overflow?: 'wait' | 'reject' | undefined;
  /** Most callers that wait for room; the next is rejected with `QueueFullError`. Default 100 000. */
  readonly maxWaiters?: number | undefined;
  /** How many items of one key run before other waiting keys get their turn. Default 16. */
  readonly quantum?: number | undefined;
}

/** What holds where a {@link PartitionedQueueOptions} says nothing. */
export interface PartitionedQueueDefaults {
  readonly concurrency: number;
  readonly capacity: number;
  readonly overflow: 'wait' | 'reject';
  readonly maxWaiters: number;
  readonly quantum: number;
}

/** The defaults of {@link PartitionedQueueOptions}. */
export const PARTITIONED_QUEUE_DEFAULTS: PartitionedQueueDefaults = Object.freeze({
  concurrency: 16,
  capacity: 10_000,
  overflow: 'wait',
  maxWaiters: 100_000,
  quantum: 16,
});

const count = z.int('expected a whole number').min(1, 'expected 1 or more');
const callback = z.custom<(...input: never[]) => unknown>(
  (value) => typeof value === 'function',
  'expected a function',
);

/** The bounds of a queue; also what `BatchModule.forRoot({ queue })` takes. */
export const partitionedQueueBounds = {
  concurrency: count.optional(),
  capacity: count.optional(),
  overflow: z.enum(['wait', 'reject'], 'expected "wait" or "reject"').optional(),
  maxWaiters: count.optional(),
  quantum: count.optional(),
};

/** What the options of a queue have to look like. */
export const partitionedQueueSchema = z.strictObject({
  name: z.string('expected a name').min(1, 'expected a name'),
  handler: callback,
  onError: callback,
  onHungry: callback.optional(),
  maxPerKey: count.optional(),
  ...partitionedQueueBounds,
});
