import type { Clock, Random } from '@smartpulse/resilience';
import { z } from 'zod';
import type { BatchAnswer, BatchContext } from './batch-outcome.js';
import type { BatchSizing } from './batch-sizing.js';

/** What an {@link AutoBatchWorker} is made of. */
export interface AutoBatchWorkerOptions<TItem, TResult = void> {
  /** Names the worker in errors, logs, metrics and health. */
  readonly name: string;
  /**
   * Handles one batch: one to `maxBatchItems` items in the order of their acceptance. The array is the handler's own.
   *
   * Answers nothing when all items succeeded, or one outcome per item, in the order of the items. A throw fails all items of the
   * batch, see `isolateFailures`.
   */
  handler(items: readonly TItem[], context: BatchContext): Promise<BatchAnswer<TResult>> | BatchAnswer<TResult>;
  /** Most items of a batch. Default 100. */
  readonly maxBatchItems?: number | undefined;
  /** Most weight of a batch; a heavier item goes alone. Default: no bound. */
  readonly maxBatchWeight?: number | undefined;
  /** Weight of an item: a finite number of 0 or more, asked once. Default: 1. */
  weigh?(item: TItem): number;
  /** Most batches in the handler at once. Default 1. */
  readonly concurrency?: number | undefined;
  /** Most items accepted and not yet settled (queued and in the handler). Default 10 000. */
  readonly capacityItems?: number | undefined;
  /** Most weight accepted and not yet settled. Default: no bound. */
  readonly capacityWeight?: number | undefined;
  /** What `enqueue` and `submit` do when there is no room: wait for it, or reject with `QueueFullError`. Default `wait`. */
  readonly overflow?: 'wait' | 'reject' | undefined;
  /** Most callers that wait for room; the next is rejected with `QueueFullError`. Default 100 000. */
  readonly maxWaiters?: number | undefined;
  /**
   * `true`: when the handler throws, the batch is halved again and again until the items that make it throw are alone; only these
   * fail. Costs about 2·log2(n) calls for one such item and at most 4·log2(n) + 4 for a batch of n; what is not decided by then fails. Only for handlers
   * that leave nothing behind when they throw (one transaction a batch). Default `false`.
   */
  readonly isolateFailures?: boolean | undefined;
  /** How many items a free worker takes. Default `natural`. */
  readonly sizing?: BatchSizing | undefined;
  /**
   * Told of each failed item that nobody waits for (`enqueue`, `tryEnqueue`). Default: one line in the log for each batch. A throw of its own is logged.
   */
  onItemFailed?(error: Error, item: TItem): void;
}

/** How a caller waits. */
export interface WaitOptions {
  /** Takes the item back while it waits; the call rejects with the signal's reason. Too late once a handler has the item. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a worker or queue gets time and chance from. */
export interface WorkerTime {
  readonly clock: Clock;
  /** Makes batch ids unique across processes; without it they are unique in this worker only. */
  readonly random?: Random | undefined;
}

/** What holds where an {@link AutoBatchWorkerOptions} says nothing. */
export interface AutoBatchWorkerDefaults {
  readonly maxBatchItems: number;
  readonly maxBatchWeight: number;
  readonly concurrency: number;
  readonly capacityItems: number;
  readonly capacityWeight: number;
  readonly overflow: 'wait' | 'reject';
  readonly maxWaiters: number;
  readonly isolateFailures: boolean;
  readonly sizing: BatchSizing;
}

/** The defaults of {@link AutoBatchWorkerOptions}. */
export const AUTO_BATCH_WORKER_DEFAULTS: AutoBatchWorkerDefaults = Object.freeze({
  maxBatchItems: 100,
  maxBatchWeight: Number.POSITIVE_INFINITY,
  concurrency: 1,
  capacityItems: 10_000,
  capacityWeight: Number.POSITIVE_INFINITY,
  overflow: 'wait',
  maxWaiters: 100_000,
  isolateFailures: false,
  sizing: 'natural',
});

const count = z.int('expected a whole number').min(1, 'expected 1 or more');
const weight = z
  .number('expected a number')
  .positive('expected more than 0')
  .or(z.literal(Number.POSITIVE_INFINITY, 'expected a number above 0, or Infinity for no bound'));
const callback = z.custom<(...input: never[]) => unknown>(
  (value) => typeof value === 'function',
  'expected a function',
);

/** The bounds of a worker; also what `BatchModule.forRoot({ worker })` takes. */
export const autoBatchWorkerBounds = {
  maxBatchItems: count.optional(),
  maxBatchWeight: weight.optional(),
  concurrency: count.optional(),
  capacityItems: count.optional(),
  capacityWeight: weight.optional(),
  overflow: z.enum(['wait', 'reject'], 'expected "wait" or "reject"').optional(),
  maxWaiters: count.optional(),
  isolateFailures: z.boolean('expected true or false').optional(),
  sizing: z.enum(['natural'], 'expected "natural"').optional(),
};

/** What the options of a worker have to look like. */
export const autoBatchWorkerSchema = z.strictObject({
  name: z.string('expected a name').min(1, 'expected a name'),
  handler: callback,
  weigh: callback.optional(),
  onItemFailed: callback.optional(),
  ...autoBatchWorkerBounds,
});
