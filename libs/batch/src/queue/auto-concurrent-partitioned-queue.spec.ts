import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { HandlerContractError } from '../batch.errors.js';
import { heldQueue } from '../testing/held-queue.js';
import { AutoConcurrentPartitionedQueue } from './auto-concurrent-partitioned-queue.js';

// What is logged on purpose would only look like trouble in the output of the run.
Logger.overrideLogger(false);

describe('AutoConcurrentPartitionedQueue: order and concurrency', () => {
  it('runs keys side by side and the items of a key one after the other', async () => {
    const { clock, calls, queue, running } = heldQueue();
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    queue.tryEnqueue('b', 1);
    await clock.settle();
    expect(running()).toEqual(['a1', 'b1']);
    calls.next(0).answer();
    await clock.settle();
    expect(running()).toEqual(['b1', 'a2']);
  });

  it('keeps to one limit over all keys', async () => {
    const { clock, calls, queue, running } = heldQueue({ concurrency: 2 });
    ['a', 'b', 'c'].forEach((key) => queue.tryEnqueue(key, 1));
    await clock.settle();
    expect(running()).toEqual(['a1', 'b1']);
    expect(queue.stats).toMatchObject({ inFlight: 2, size: 3, keys: 3 });
    calls.next(1).answer();
    await clock.settle();
    expect(running()).toEqual(['a1', 'c1']);
  });

  it('never runs a handler inside the call of its producer', () => {
    const { calls, queue } = heldQueue();
    queue.tryEnqueue('a', 1);
    expect(calls.started).toBe(0);
  });

  it('gives other keys their turn after a quantum of one key', async () => {
    const order: string[] = [];
    const { clock, queue } = heldQueue({
      concurrency: 1,
      quantum: 2,
      handler: (item, { key }) => {
        order.push(`${key}${item}`);
      },
    });
    [1, 2, 3, 4, 5].forEach((item) => queue.tryEnqueue('a', item));
    queue.tryEnqueue('b', 1);
    await clock.settle();
    expect(order).toEqual(['a1', 'a2', 'b1', 'a3', 'a4', 'a5']);
  });

  it('forgets a key in the tick in which its last item is settled', async () => {
    const { clock, queue } = heldQueue({ handler: () => undefined });
    queue.tryEnqueue('a', 1);
    expect(queue.stats.keys).toBe(1);
    await clock.settle();
    expect(queue.stats).toMatchObject({ keys: 0, size: 0, completed: 1 });
  });

  it('handles falsy keys and items like others', async () => {
    const clock = new VirtualClock();
    const seen: unknown[] = [];
    const queue = new AutoConcurrentPartitionedQueue<unknown, unknown>(
      { name: 'falsy', handler: (item, { key }) => void seen.push(key, item), onError: () => undefined },
      { clock },
    );
    queue.tryEnqueue(undefined, undefined);
    queue.tryEnqueue(0, null);
    queue.tryEnqueue('', false);
    await clock.settle();
    expect(seen).toEqual([undefined, undefined, 0, null, '', false]);
  });

  it('gives way to the event loop when its handlers never really wait', async () => {
    let handled = 0;
    const { clock, queue } = heldQueue({
      handler: () => {
        // What the handler's work costs: real time would pass here.
        vi.spyOn(clock, 'monotonic').mockReturnValue(++handled);
      },
    });
    for (let item = 0; item < 100; item++) {
      queue.tryEnqueue(`key ${item % 3}`, item);
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(handled).toBeGreaterThan(0);
    // Five milliseconds, found at one of eight looks; the queue's own turn and that of the test.
    expect(handled).toBeLessThan(2 * (5 + 8));
    await queue.idle();
    expect(handled).toBe(100);
  });
});

describe('AutoConcurrentPartitionedQueue: failures and retries', () => {
  it('settles an item whose handler throws as failed and goes on with its key', async () => {
    const failure = new Error('bad');
    const reported: unknown[] = [];
    const seen: number[] = [];
    const { clock, queue } = heldQueue({
      handler: (item) => {
        seen.push(item);
        if (item === 1) {
          throw failure;
        }
      },
      onError: (error, item, { key, attempt }) => reported.push([error, item, key, attempt]),
    });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    await clock.settle();
    expect(seen).toEqual([1, 2]);
    expect(reported).toEqual([[failure, 1, 'a', 1]]);
    expect(queue.stats).toMatchObject({ failed: 1, completed: 1 });
  });

  it('survives an onError that throws', async () => {
    const { clock, queue } = heldQueue({
      handler: () => Promise.reject(new Error('bad')),
      onError: () => {
        throw new Error('worse');
      },
    });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    await clock.settle();
    expect(queue.stats).toMatchObject({ failed: 2, size: 0, inFlight: 0 });
  });

  it('keeps a retried item before the later items of its key and frees its slot meanwhile', async () => {
    const { clock, calls, queue, running } = heldQueue({ concurrency: 1 });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    queue.tryEnqueue('b', 1);
    await clock.settle();
    calls.next().answer({ retryAfterMs: 100 });
    await clock.settle();
    expect(running()).toEqual(['b1']);
    expect(queue.stats).toMatchObject({ retrying: 1, size: 3 });
    calls.next().answer();
    await clock.advance(99);
    expect(running()).toEqual([]);
    await clock.advance(1);
    expect(running()).toEqual(['a1']);
    expect(calls.open[0]?.context.attempt).toBe(2);
    calls.next().answer();
    await clock.settle();
    expect(running()).toEqual(['a2']);
    expect(calls.open[0]?.context.attempt).toBe(1);
    expect(queue.stats.retries).toBe(1);
  });

  it.each([{ retryAfterMs: -1 }, { retryAfterMs: Number.NaN }, { retryAfterMs: 2 ** 31 }])(
    'takes the answer %o for a mistake of the handler',
    async (answer) => {
      const { clock, errors, queue } = heldQueue({ handler: () => answer });
      queue.tryEnqueue('a', 1);
      await clock.settle();
      expect(errors.map((error) => HandlerContractError.is(error))).toEqual([true]);
      expect(clock.pendingTimers).toBe(0);
    },
  );
});

describe('AutoConcurrentPartitionedQueue: options', () => {
  it('names every option that is wrong', () => {
    const create = (options: object): unknown => {
      try {
        return Reflect.construct(AutoConcurrentPartitionedQueue, [options, { clock: new VirtualClock() }]);
      } catch (error) {
        return error;
      }
    };
    const error = create({ name: 'q', handler: () => undefined, concurrency: 1.5, maxPerKey: 0 });
    expect(ConfigurationError.is(error) && error.issues.map(({ option }) => option).toSorted()).toEqual([
      'concurrency',
      'maxPerKey',
      'onError',
    ]);
  });
});
