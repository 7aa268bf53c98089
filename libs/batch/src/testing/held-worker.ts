import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { AutoBatchWorker } from '../worker/auto-batch-worker.js';
import type { AutoBatchWorkerOptions } from '../worker/auto-batch-worker.options.js';
import type { BatchContext } from '../worker/batch-outcome.js';
import { HeldCalls } from './held-calls.js';

/** What a test may set of a worker whose handler it answers itself. */
export type HeldWorkerSettings<TResult> = Omit<AutoBatchWorkerOptions<string, TResult>, 'name' | 'handler'>;

/** A worker on virtual time whose batches end when the test says so. */
export function heldWorker(settings: HeldWorkerSettings<void> = {}): {
  clock: VirtualClock;
  calls: HeldCalls<readonly string[], BatchContext, void>;
  worker: AutoBatchWorker<string>;
} {
  const clock = new VirtualClock();
  const calls = new HeldCalls<readonly string[], BatchContext, void>();
  const worker = new AutoBatchWorker<string>(
    { name: 'test', handler: calls.handler, ...settings },
    { clock, random: new SeededRandom() },
  );
  return { clock, calls, worker };
}
