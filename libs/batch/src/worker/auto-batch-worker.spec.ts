import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { HandlerContractError, HandlerThrewError } from '../batch.errors.js';
import { caught } from '../testing/caught.js';
import { heldWorker, type HeldWorkerSettings } from '../testing/held-worker.js';
import { AutoBatchWorker } from './auto-batch-worker.js';
import { type AutoBatchWorkerOptions } from './auto-batch-worker.options.js';
import { type BatchOutcome } from './batch-outcome.js';

// What is logged on purpose would only look like trouble in the output of the run.
Logger.overrideLogger(false);

function echoWorker(
  handler: AutoBatchWorkerOptions<string, string>['handler'],
  settings: HeldWorkerSettings<string> = {},
) {
  const clock = new VirtualClock();
  const worker = new AutoBatchWorker<string, string>({ name: 'test', handler, ...settings }, { clock });
  return { clock, worker };
}

const fulfilled = (value: string): BatchOutcome<string> => ({ status: 'fulfilled', value });

describe('AutoBatchWorker: batches', () => {
  it('takes what is enqueued in one go as one batch, at once and without a timer', async () => {
    const { clock, calls, worker } = heldWorker();
    expect(['a', 'b', 'c'].map((item) => worker.tryEnqueue(item))).toEqual([true, true, true]);
    expect(clock.pendingTimers).toBe(0);
    await clock.settle();
    expect(calls.next().input).toEqual(['a', 'b', 'c']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a batch grow only while the handler is busy', async () => {
    const { clock, calls, worker } = heldWorker();
    worker.tryEnqueue('a');
    await clock.settle();
    ['b', 'c', 'd'].forEach((item) => worker.tryEnqueue(item));
    await clock.settle();
    expect(calls.started).toBe(1);
    calls.next().answer();
    await clock.settle();
    expect(calls.next().input).toEqual(['b', 'c', 'd']);
  });

  it('keeps batches within maxBatchItems and concurrency, in the order of acceptance', async () => {
    const { clock, calls, worker } = heldWorker({ maxBatchItems: 2, concurrency: 2 });
    ['a', 'b', 'c', 'd', 'e'].forEach((item) => worker.tryEnqueue(item));
    await clock.settle();
    expect(calls.open.map(({ input }) => input)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(worker.stats).toMatchObject({ inFlight: 4, queued: 1, batches: 2 });
    calls.next(1).answer();
    await clock.settle();
    expect(calls.open.map(({ input }) => input)).toEqual([['a', 'b'], ['e']]);
  });

  it('keeps batches within maxBatchWeight and lets a heavier item go alone', async () => {
    const { clock, calls, worker } = heldWorker({ maxBatchWeight: 5, weigh: (item) => item.length, concurrency: 9 });
    ['aaa', 'bb', 'c', 'dddddddd', 'e'].forEach((item) => worker.tryEnqueue(item));
    await clock.settle();
    expect(calls.open.map(({ input }) => input)).toEqual([['aaa', 'bb'], ['c'], ['dddddddd'], ['e']]);
  });

  it('tells the handler a batch id of its own and the attempt', async () => {
    const { clock, calls, worker } = heldWorker({ maxBatchItems: 1, concurrency: 2 });
    worker.tryEnqueue('a');
    worker.tryEnqueue('b');
    await clock.settle();
    const [first, second] = [calls.next().context, calls.next().context];
    expect(first.batchId).not.toBe(second.batchId);
    expect([first.attempt, first.signal.aborted]).toEqual([1, false]);
  });

  it('gives way to the event loop when its handler never really waits', async () => {
    const clock = new VirtualClock();
    let batches = 0;
    const worker = new AutoBatchWorker<number>(
      {
        name: 'busy',
        maxBatchItems: 1,
        handler: () => {
          batches++;
          // What the handler's work costs: real time would pass here.
          vi.spyOn(clock, 'monotonic').mockReturnValue(batches);
        },
      },
      { clock },
    );
    Array.from({ length: 100 }, (_, item) => worker.tryEnqueue(item));
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(batches).toBeGreaterThan(0);
    expect(batches).toBeLessThan(20);
    await worker.drain();
    expect(batches).toBe(100);
  });
});

describe('AutoBatchWorker: results', () => {
  it('gives every submitter the result of its own item', async () => {
    const { worker } = echoWorker((items) => Promise.resolve(items.map((item) => fulfilled(item.toUpperCase()))));
    await expect(Promise.all(['a', 'b', 'c'].map((item) => worker.submit(item)))).resolves.toEqual(['A', 'B', 'C']);
  });

  it('rejects only the items that the handler rejects', async () => {
    const refusal = new Error('no b');
    const { worker } = echoWorker((items) =>
      items.map((item) => (item === 'b' ? { status: 'rejected', error: refusal, retryable: true } : fulfilled(item))),
    );
    const [a, b] = await Promise.allSettled([worker.submit('a'), worker.submit('b')]);
    expect(a).toEqual({ status: 'fulfilled', value: 'a' });
    expect(b).toEqual({ status: 'rejected', reason: refusal });
    expect(worker.stats).toMatchObject({ completed: 1, failed: 1 });
  });

  it('rejects every item of a batch with what the handler threw', async () => {
    const cause = new Error('database gone');
    const { worker } = echoWorker(() => {
      throw cause;
    });
    expect(await Promise.all([caught(worker.submit('a')), caught(worker.submit('b'))])).toEqual([cause, cause]);
  });

  it('wraps what is thrown and is no Error, as the cause', async () => {
    const { worker } = echoWorker(() => Promise.reject('text'));
    const error = await caught(worker.submit('a'));
    expect(HandlerThrewError.is(error) && error.cause).toBe('text');
  });

  it('names the handler and the counts when it answers the wrong number of outcomes', async () => {
    const { worker } = echoWorker((items) => items.slice(1).map(fulfilled));
    const [first, second] = await Promise.all([caught(worker.submit('a')), caught(worker.submit('b'))]);
    expect(HandlerContractError.is(first)).toBe(true);
    expect(second).toBe(first);
    expect(String(first)).toContain('"test"');
    expect(String(first)).toContain('1 outcomes for 2 items');
  });

  it('refuses an outcome that is none', async () => {
    const { worker } = echoWorker(() => JSON.parse('[{"status":"done"}]'));
    expect(HandlerContractError.is(await caught(worker.submit('a')))).toBe(true);
  });

  it('tells onItemFailed of failures that nobody waits for, and survives its throw', async () => {
    const failures: string[] = [];
    const { clock, worker } = echoWorker(
      () => {
        throw new Error('gone');
      },
      {
        onItemFailed: (error, item) => {
          failures.push(`${item}: ${error.message}`);
          throw new Error('and again');
        },
      },
    );
    worker.tryEnqueue('a');
    await worker.enqueue('b');
    await clock.settle();
    expect(failures).toEqual(['a: gone', 'b: gone']);
    expect(worker.stats).toMatchObject({ failed: 2, inFlight: 0 });
  });

  it('keeps its books when onItemFailed drains at once', async () => {
    const signal = AbortSignal.abort();
    const { clock, worker } = echoWorker(() => Promise.reject(new Error('gone')), {
      onItemFailed: () => void worker.drain({ signal }),
    });
    worker.tryEnqueue('a');
    worker.tryEnqueue('b');
    await clock.settle();
    await expect(worker.drain()).resolves.toEqual({ completed: 0, failed: 0, leftover: [], interrupted: 0 });
    expect(worker.stats).toMatchObject({ accepted: 2, failed: 2, leftover: 0 });
  });
});

describe('AutoBatchWorker: options', () => {
  it('names every option that is wrong', () => {
    const create = (options: object): unknown => {
      try {
        return Reflect.construct(AutoBatchWorker, [options, { clock: new VirtualClock() }]);
      } catch (error) {
        return error;
      }
    };
    const error = create({ name: '', handler: 'no', maxBatchItems: 0, overflow: 'drop', speed: 3, capacityWeight: -1 });
    expect(ConfigurationError.is(error) && error.issues.map(({ option }) => option).toSorted()).toEqual([
      'capacityWeight',
      'handler',
      'maxBatchItems',
      'name',
      'overflow',
      'speed',
    ]);
    expect(String(error)).toContain('speed');
  });
});
