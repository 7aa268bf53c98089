import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { z } from 'zod';
import { partitionedQueueBounds, type PartitionedQueueDefaults } from './queue/partitioned-queue.options.js';
import { type AutoBatchWorkerDefaults, autoBatchWorkerBounds } from './worker/auto-batch-worker.options.js';

/** The options of {@link BatchModule}. */
export interface BatchModuleOptions {
  /** Bounds of the app's workers where their own options say nothing. Default: `AUTO_BATCH_WORKER_DEFAULTS`. */
  readonly worker?:
    { readonly [K in keyof AutoBatchWorkerDefaults]?: AutoBatchWorkerDefaults[K] | undefined } | undefined;
  /** Bounds of the app's queues where their own options say nothing. Default: `PARTITIONED_QUEUE_DEFAULTS`. */
  readonly queue?:
    { readonly [K in keyof PartitionedQueueDefaults]?: PartitionedQueueDefaults[K] | undefined } | undefined;
  /** Share of a capacity, 0 to 1, above which the health probe says `degraded`. Default 0.8. */
  readonly degradedAboveShare?: number | undefined;
}

/** Options that a factory makes, from providers of other modules if need be. */
export interface BatchModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<BatchModuleOptions>['useFactory'];
}

/** Injection token of the checked {@link BatchModuleOptions}. */
export const BATCH_OPTIONS = Symbol('BATCH_OPTIONS');

/** What holds for the module where its options say nothing. */
export const BATCH_DEFAULTS = Object.freeze({ degradedAboveShare: 0.8 });

const share = 'expected a share between 0 and 1';

/** Checks {@link BatchModuleOptions}. */
export const batchOptionsSchema = z.strictObject({
  worker: z.strictObject(autoBatchWorkerBounds).optional(),
  queue: z.strictObject(partitionedQueueBounds).optional(),
  degradedAboveShare: z.number(share).min(0, share).max(1, share).optional(),
});
