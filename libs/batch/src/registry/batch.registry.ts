import type { Clock, Random, ShutdownContext, ShutdownCoordinator } from '@smartpulse/resilience';
import type { BatchModuleOptions } from '../batch.options.js';
import { withDefaults } from '../configuration/with-defaults.js';
import { AutoConcurrentPartitionedQueue } from '../queue/auto-concurrent-partitioned-queue.js';
import { PARTITIONED_QUEUE_DEFAULTS, type PartitionedQueueOptions } from '../queue/partitioned-queue.options.js';
import type { PartitionedQueueStats } from '../queue/partitioned-queue-stats.js';
import { AutoBatchWorker } from '../worker/auto-batch-worker.js';
import { AUTO_BATCH_WORKER_DEFAULTS, type AutoBatchWorkerOptions } from '../worker/auto-batch-worker.options.js';
import type { BatchWorkerStats } from '../worker/batch-worker-stats.js';
import type { BatchPart, Drainable } from './batch-part.js';

/**
 * Makes the workers and queues of an app, on its clock and with its defaults, and drains them when it stops: in phase `work`, queues
 * first, workers after them, because handlers of queues submit to workers.
 *
 * Names may repeat (two consumers of one topic); figures of equal names are added up.
 */
export class BatchRegistry {
  readonly #time: { readonly clock: Clock; readonly random: Random };
  readonly #options: BatchModuleOptions;
  readonly #workers = new Set<Drainable<BatchWorkerStats>>();
  readonly #queues = new Set<Drainable<PartitionedQueueStats>>();

  constructor(
    time: { readonly clock: Clock; readonly random: Random },
    shutdown: Pick<ShutdownCoordinator, 'register'>,
    options: BatchModuleOptions = {},
  ) {
    this.#time = time;
    this.#options = options;
    shutdown.register({ name: 'batch queues and workers', phase: 'work', stop: (context) => this.#stop(context) });
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  createWorker<TItem, TResult = void>(
    options: AutoBatchWorkerOptions<TItem, TResult>,
  ): AutoBatchWorker<TItem, TResult> {
    const defaults = withDefaults(AUTO_BATCH_WORKER_DEFAULTS, this.#options.worker ?? {});
    const worker = new AutoBatchWorker<TItem, TResult>(options, this.#time, defaults);
    add(this.#workers, worker);
    return worker;
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  createQueue<TKey, TItem>(options: PartitionedQueueOptions<TKey, TItem>): AutoConcurrentPartitionedQueue<TKey, TItem> {
    const defaults = withDefaults(PARTITIONED_QUEUE_DEFAULTS, this.#options.queue ?? {});
    const queue = new AutoConcurrentPartitionedQueue<TKey, TItem>(options, this.#time, defaults);
    add(this.#queues, queue);
    return queue;
  }

  /** The figures of every worker and queue; those that were drained are forgotten when the next one of their kind is made. */
  list(): readonly BatchPart[] {
    return [
      ...Array.from(this.#queues, ({ stats }): BatchPart => ({ kind: 'queue', stats })),
      ...Array.from(this.#workers, ({ stats }): BatchPart => ({ kind: 'worker', stats })),
    ];
  }

  async #stop(context: ShutdownContext): Promise<number> {
    return (await drainAll(this.#queues, context)) + (await drainAll(this.#workers, context));
  }
}

async function drainAll(
  parts: ReadonlySet<Drainable<unknown>>,
  { signal, timeoutMs }: ShutdownContext,
): Promise<number> {
  const reports = await Promise.all(Array.from(parts, (part) => part.drain({ signal, timeoutMs })));
  return reports.reduce((sum, { leftover }) => sum + leftover.length, 0);
}

/** A part that is made and drained again and again must not be kept for ever. */
function add<TStats extends { readonly state: string }>(parts: Set<Drainable<TStats>>, added: Drainable<TStats>): void {
  for (const part of parts) {
    if (part.stats.state === 'stopped') {
      parts.delete(part);
    }
  }
  parts.add(added);
}
