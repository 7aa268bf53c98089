import { Logger } from '@nestjs/common';
import {
  AutoBatchWorker,
  AutoConcurrentPartitionedQueue,
  type DrainReport,
  WorkerStoppedError,
} from '@smartpulse/batch';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { workerActionArb, WorkerRun, workerSettingsArb } from './batch-worker.history.js';
import { queueActionArb, QueueRun, queueSettingsArb } from './batch-queue.history.js';

// Failures are what these runs are made of; logged, they would only look like trouble.
Logger.overrideLogger(false);

const RUNS = { numRuns: 3_000 };

describe('AutoBatchWorker, in any history', () => {
  it('settles what it accepts exactly once, within its bounds, in order, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        workerSettingsArb,
        fc.array(workerActionArb, { maxLength: 60, size: 'max' }),
        async (settings, actions) => {
          const run = new WorkerRun(settings);
          for (const action of actions) {
            await run.act(action);
            run.checkBounds();
          }
          await run.finish();
        },
      ),
      RUNS,
    );
  });

  it('gives every submitter its answer in whatever order batches end, also when it stops meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 6 }),
        async (scheduler, items, concurrency, capacityItems) => {
          const clock = new VirtualClock();
          const handled: number[] = [];
          const worker = new AutoBatchWorker<number, number>(
            {
              name: 'scheduled',
              maxBatchItems: 2,
              concurrency,
              capacityItems,
              handler: async (batch) => {
                await scheduler.schedule(Promise.resolve(), `batch ${batch.join()}`);
                handled.push(...batch);
                return batch.map((value) => ({ status: 'fulfilled', value }));
              },
            },
            { clock },
          );
          const results: Promise<PromiseSettledResult<number>[]>[] = [];
          let drained: Promise<DrainReport<number>> | undefined;
          const stopAt = items - 1;
          const { task } = scheduler.scheduleSequence(
            Array.from({ length: items }, (_, item) => () => {
              if (item === stopAt) {
                drained = worker.drain();
              }
              results.push(Promise.allSettled([worker.submit(item)]));
              return Promise.resolve();
            }),
          );
          await scheduler.waitIdle();
          await task;
          const report = await drained;
          const settled = (await Promise.all(results)).flat();
          const fulfilled = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
          expect(settled).toHaveLength(items);
          expect(fulfilled.toSorted((a, b) => a - b)).toEqual(handled.toSorted((a, b) => a - b));
          expect(settled.every((each) => each.status === 'fulfilled' || WorkerStoppedError.is(each.reason))).toBe(true);
          expect(report?.leftover).toEqual([]);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('AutoConcurrentPartitionedQueue, in any history', () => {
  it('handles what it accepts exactly once, in the order of its key, one at a time, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        queueSettingsArb,
        fc.array(queueActionArb, { maxLength: 60, size: 'max' }),
        async (settings, actions) => {
          const run = new QueueRun(settings);
          for (const action of actions) {
            await run.act(action);
            run.checkBounds();
          }
          await run.finish();
        },
      ),
      RUNS,
    );
  });

  it('keeps the order of every key in whatever order handlers end, over retries and callers that wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ key: fc.nat(2), retries: fc.nat(2) }), { minLength: 1, maxLength: 15 }),
        queueSettingsArb,
        async (scheduler, jobs, settings) => {
          const clock = new VirtualClock();
          const done = new Map<number, number[]>();
          const queue = new AutoConcurrentPartitionedQueue<number, { readonly id: number; readonly retries: number }>(
            {
              name: 'scheduled',
              ...settings,
              overflow: 'wait',
              handler: async (job, { key, attempt }) => {
                await scheduler.schedule(Promise.resolve(), `job ${job.id}`);
                if (attempt <= job.retries) {
                  return { retryAfterMs: 5 };
                }
                done.set(key, [...(done.get(key) ?? []), job.id]);
                return undefined;
              },
              onError: () => undefined,
            },
            { clock },
          );
          const accepted = Promise.all(jobs.map(({ key, retries }, id) => queue.enqueue(key, { id, retries })));
          for (let round = 0; queue.size > 0 && round < 200; round++) {
            await scheduler.waitIdle();
            await clock.advance(5);
          }
          await accepted;
          const expected = new Map<number, number[]>();
          jobs.forEach(({ key }, id) => expected.set(key, [...(expected.get(key) ?? []), id]));
          expect(done).toEqual(expected);
          expect(queue.stats).toMatchObject({ keys: 0, size: 0, completed: jobs.length });
          await queue.drain();
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
