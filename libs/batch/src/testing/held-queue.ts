import { VirtualClock } from '@smartpulse/resilience/testing';
import { AutoConcurrentPartitionedQueue } from '../queue/auto-concurrent-partitioned-queue.js';
import type {
  PartitionedItemContext,
  PartitionedQueueOptions,
  QueueAnswer,
} from '../queue/partitioned-queue.options.js';
import { HeldCalls } from './held-calls.js';

/** What a test may set of a queue whose handlers it answers itself. */
export type HeldQueueSettings = Partial<Omit<PartitionedQueueOptions<string, number>, 'name'>>;

/** A queue on virtual time whose handlers end when the test says so; `running()` names them, key and item in one. */
export function heldQueue(settings: HeldQueueSettings = {}): {
  clock: VirtualClock;
  calls: HeldCalls<number, PartitionedItemContext<string>, QueueAnswer>;
  errors: unknown[];
  queue: AutoConcurrentPartitionedQueue<string, number>;
  running: () => string[];
} {
  const clock = new VirtualClock();
  const calls = new HeldCalls<number, PartitionedItemContext<string>, QueueAnswer>();
  const errors: unknown[] = [];
  const queue = new AutoConcurrentPartitionedQueue<string, number>(
    { name: 'test', handler: calls.handler, onError: (error) => errors.push(error), ...settings },
    { clock },
  );
  const running = (): string[] => calls.open.map(({ input, context }) => `${context.key}${input}`);
  return { clock, calls, errors, queue, running };
}
