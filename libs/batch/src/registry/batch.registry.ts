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
 * Makes the workers and queues of an app, on its clock and with its defaults, and stops them with it. In phase `work` they finish what they have
 * and still accept, because handlers of messages and changes, which end in that phase too, hand their items to them. In phase `flush` they
 * are drained: queues first, workers after them, because handlers of queues submit to workers.
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
    const name = 'batch queues and workers';
    shutdown.register({ name, phase: 'work', stop: ({ signal }) => this.#settle(signal) });
    shutdown.register({ name, phase: 'flush', stop: (context) => this.#drain(context) });
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

  /** Waits until everything has done what it can, or the phase's time is used up: then the drain says what is left. */
  async #settle(signal: AbortSignal): Promise<void> {
    const expired = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([expired, allQuiet(this.#queues)]);
    await Promise.race([expired, allQuiet(this.#workers)]);
  }

  async #drain(context: ShutdownContext): Promise<number> {
    return (await drainAll(this.#queues, context)) + (await drainAll(this.#workers, context));
  }
}

function allQuiet(parts: ReadonlySet<Drainable<unknown>>): Promise<unknown> {
  return Promise.all(Array.from(parts, (part) => part.quiet()));
}

/** Answers what they left over; what had stopped before has told it already. */
async function drainAll(
  parts: ReadonlySet<Drainable<{ readonly state: string }>>,
  { signal, timeoutMs }: ShutdownContext,
): Promise<number> {
  const open = [...parts].filter(({ stats }) => stats.state !== 'stopped');
  const reports = await Promise.all(open.map((part) => part.drain({ signal, timeoutMs })));
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
