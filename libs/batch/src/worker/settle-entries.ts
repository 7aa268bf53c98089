import type { Logger } from '@nestjs/common';
import type { AutoBatchWorkerOptions } from './auto-batch-worker.options.js';
import type { BatchResult } from './batch-call.js';
import type { BatchEntry } from './batch-entry.js';
import { nothing } from './batch-outcome.js';
import type { WorkerCounters } from './worker-counters.js';

/** An item that failed and whose submitter did not wait for its result. */
export interface UnheardFailure<TItem> {
  readonly error: Error;
  readonly item: TItem;
}

/** Gives every submitter of a batch its own result, counts, and answers the failures that nobody waits for. Runs no foreign code. */
export function settleEntries<TItem, TResult>(
  entries: readonly BatchEntry<TItem, TResult>[],
  result: BatchResult<TResult>,
  counters: WorkerCounters,
): UnheardFailure<TItem>[] {
  const unheard: UnheardFailure<TItem>[] = [];
  entries.forEach(({ item, resolve, reject }, index) => {
    const outcome = result.status === 'itemised' ? result.outcomes[index] : undefined;
    const error =
      result.status === 'failed' ? result.error : outcome?.status === 'rejected' ? outcome.error : undefined;
    if (error === undefined) {
      counters.completed++;
      resolve?.(outcome?.status === 'fulfilled' ? outcome.value : nothing());
      return;
    }
    counters.failed++;
    if (reject === undefined) {
      unheard.push({ error, item });
    } else {
      reject(error);
    }
  });
  return unheard;
}

/** Tells `onItemFailed` of each failure, or the log of all of them in one line. Never throws. */
export function reportUnheard<TItem>(
  unheard: readonly UnheardFailure<TItem>[],
  options: Pick<AutoBatchWorkerOptions<TItem, never>, 'name' | 'onItemFailed'>,
  logger: Logger,
): void {
  const first = unheard[0];
  if (first === undefined) {
    return;
  }
  if (options.onItemFailed === undefined) {
    const { name, message } = first.error;
    logger.error(`"${options.name}": ${unheard.length} items failed that nobody waits for. ${name}: ${message}`);
    return;
  }
  for (const { error, item } of unheard) {
    try {
      options.onItemFailed(error, item);
    } catch (thrown) {
      logger.error(`"${options.name}": onItemFailed threw. ${String(thrown)}`);
    }
  }
}
