export {
  HandlerContractError,
  HandlerThrewError,
  InvalidWeightError,
  ItemTooHeavyError,
  QueueFullError,
  WorkerStoppedError,
} from './batch.errors.js';
export { BatchModule } from './batch.module.js';
export { BATCH_DEFAULTS, type BatchModuleAsyncOptions, type BatchModuleOptions } from './batch.options.js';
export { BATCH_INSTRUMENTS } from './batch.telemetry.js';
export {
  DEFAULT_DRAIN_TIMEOUT_MS,
  type DrainOptions,
  type DrainReport,
  type LifecycleState,
} from './drain/drain-report.js';
export { AutoConcurrentPartitionedQueue } from './queue/auto-concurrent-partitioned-queue.js';
export {
  type HeldUntil,
  type KeyedItem,
  PARTITIONED_QUEUE_DEFAULTS,
  type PartitionedItemContext,
  type PartitionedQueueDefaults,
  type PartitionedQueueOptions,
  type QueueAnswer,
  type RetryLater,
} from './queue/partitioned-queue.options.js';
export type { PartitionedQueueStats } from './queue/partitioned-queue-stats.js';
export type { BatchPart } from './registry/batch-part.js';
export { BatchHealthProbe } from './registry/batch.health-probe.js';
export { BatchRegistry } from './registry/batch.registry.js';
export { AutoBatchWorker } from './worker/auto-batch-worker.js';
export {
  AUTO_BATCH_WORKER_DEFAULTS,
  type AutoBatchWorkerDefaults,
  type AutoBatchWorkerOptions,
  type WaitOptions,
  type WorkerTime,
} from './worker/auto-batch-worker.options.js';
export type { BatchAnswer, BatchContext, BatchOutcome } from './worker/batch-outcome.js';
export type { BatchSizing } from './worker/batch-sizing.js';
export type { BatchWorkerStats } from './worker/batch-worker-stats.js';
