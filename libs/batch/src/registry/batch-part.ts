import type { DrainOptions, DrainReport } from '../drain/drain-report.js';
import type { PartitionedQueueStats } from '../queue/partitioned-queue-stats.js';
import type { BatchWorkerStats } from '../worker/batch-worker-stats.js';

/** A worker or queue of an app, as plain figures. */
export type BatchPart =
  | { readonly kind: 'worker'; readonly stats: BatchWorkerStats }
  | { readonly kind: 'queue'; readonly stats: PartitionedQueueStats };

/** What a registry needs of what it made, whatever its items are. */
export interface Drainable<TStats> {
  readonly stats: TStats;
  quiet(): Promise<void>;
  drain(options: DrainOptions): Promise<DrainReport<unknown>>;
}

/** How full a part is, 0 to 1: the fullest of its bounds. */
export function filledShare(part: BatchPart): number {
  if (part.kind === 'queue') {
    return part.stats.size / part.stats.capacity;
  }
  const { queued, inFlight, weight, capacityItems, capacityWeight } = part.stats;
  return Math.max((queued + inFlight) / capacityItems, weight / capacityWeight);
}
