import { getEventListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { HandlerContractError, QueueFullError, WorkerStoppedError } from '../batch.errors.js';
import { HeldCalls } from '../testing/held-calls.js';
import { AutoConcurrentPartitionedQueue } from './auto-concurrent-partitioned-queue.js';
import type { PartitionedItemContext, PartitionedQueueOptions, RetryLater } from './partitioned-queue.options.js';

// What is logged on purpose would only look like trouble in the output of the run.
Logger.overrideLogger(false);

type Settings = Partial<Omit<PartitionedQueueOptions<string, number>, 'name'>>;

function heldQueue(settings: Settings = {}) {
  const clock = new VirtualClock();
  const calls = new HeldCalls<number, PartitionedItemContext<string>, void | RetryLater>();
  const errors: unknown[] = [];
  const queue = new AutoConcurrentPartitionedQueue<string, number>(
    { name: 'test', handler: calls.handler, onError: (error) => errors.push(error), ...settings },
    { clock },
  );
  const running = (): string[] => calls.open.map(({ input, context }) => `${context.key}${input}`);
  return { clock, calls, errors, queue, running };
}

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

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
    expect(handled).toBeLessThan(20);
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

describe('AutoConcurrentPartitionedQueue: bounds', () => {
  it('counts an item from its acceptance until it is settled, over all keys', async () => {
    const { clock, calls, queue } = heldQueue({ capacity: 2 });
    expect([queue.tryEnqueue('a', 1), queue.tryEnqueue('b', 1), queue.tryEnqueue('c', 1)]).toEqual([true, true, false]);
    await clock.settle();
    expect(queue.tryEnqueue('c', 1)).toBe(false);
    calls.next().answer();
    await clock.settle();
    expect(queue.tryEnqueue('c', 1)).toBe(true);
  });

  it('lets callers wait for room, first come first', async () => {
    const { clock, calls, queue } = heldQueue({ capacity: 1 });
    const accepted: number[] = [];
    [1, 2, 3].forEach((item) => void queue.enqueue(`key ${item}`, item).then(() => accepted.push(item)));
    await clock.settle();
    expect(accepted).toEqual([1]);
    calls.next().answer();
    await clock.settle();
    expect(accepted).toEqual([1, 2]);
    expect(queue.stats.waiting).toBe(1);
  });

  it('holds up nobody else when one key is full', async () => {
    const { clock, calls, queue, running } = heldQueue({ maxPerKey: 1 });
    const accepted: string[] = [];
    queue.tryEnqueue('a', 1);
    void queue.enqueue('a', 2).then(() => accepted.push('a2'));
    void queue.enqueue('a', 3).then(() => accepted.push('a3'));
    expect(queue.tryEnqueue('a', 4)).toBe(false);
    expect(queue.tryEnqueue('b', 1)).toBe(true);
    await clock.settle();
    expect(running()).toEqual(['a1', 'b1']);
    calls.next(0).answer();
    await clock.settle();
    expect([accepted, running()]).toEqual([['a2'], ['b1', 'a2']]);
    calls.next(1).answer();
    await clock.settle();
    expect([accepted, running()]).toEqual([
      ['a2', 'a3'],
      ['b1', 'a3'],
    ]);
  });

  it('takes waiters of a full key through the global bound too', async () => {
    const { clock, calls, queue, running } = heldQueue({ maxPerKey: 1, capacity: 2 });
    const accepted: string[] = [];
    const enqueue = (key: string, item: number): void =>
      void queue.enqueue(key, item).then(() => accepted.push(`${key}${item}`));
    enqueue('a', 1);
    enqueue('b', 1);
    enqueue('c', 1);
    enqueue('a', 2);
    enqueue('c', 2);
    await clock.settle();
    expect(accepted).toEqual(['a1', 'b1']);
    for (const expected of ['a1', 'b1', 'c1', 'a2', 'c2']) {
      expect(running()[0]).toBe(expected);
      calls.next().answer();
      await clock.settle();
    }
    expect(accepted).toEqual(['a1', 'b1', 'c1', 'a2', 'c2']);
    expect(queue.stats).toMatchObject({ keys: 0, waiting: 0, size: 0, accepted: 5, completed: 5 });
  });

  it('names the bound by overflow "reject"', async () => {
    const { queue } = heldQueue({ maxPerKey: 1, capacity: 2, overflow: 'reject' });
    await queue.enqueue('a', 1);
    const perKey = await caught(queue.enqueue('a', 2));
    await queue.enqueue('b', 1);
    const global = await caught(queue.enqueue('c', 1));
    expect([perKey, global].map((error) => QueueFullError.is(error) && error.bound)).toEqual(['maxPerKey', 'capacity']);
  });

  it('bounds the callers that wait', async () => {
    const { queue } = heldQueue({ capacity: 1, maxWaiters: 1 });
    queue.tryEnqueue('a', 1);
    const waiting = caught(queue.enqueue('b', 1));
    const error = await caught(queue.enqueue('c', 1));
    expect(QueueFullError.is(error) && error.bound).toBe('maxWaiters');
    await queue.drain({ signal: AbortSignal.abort() });
    expect(WorkerStoppedError.is(await waiting)).toBe(true);
  });

  it('takes a caller back by its signal, wherever it waits, and lets those behind it in', async () => {
    const { clock, calls, queue, running } = heldQueue({ maxPerKey: 1, capacity: 2 });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('b', 1);
    const controller = new AbortController();
    const { signal } = controller;
    const off = [
      queue.enqueue('c', 1, { signal }),
      queue.enqueue('a', 2, { signal }),
      queue.enqueue('c', 2, { signal }),
    ];
    const kept = [queue.enqueue('c', 3), queue.enqueue('a', 3)];
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort();
    expect((await Promise.allSettled(off)).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await clock.settle();
    calls.next(0).answer();
    calls.next(0).answer();
    await Promise.all(kept);
    await clock.settle();
    expect(running()).toEqual(['c3', 'a3']);
    expect(queue.stats).toMatchObject({ waiting: 0, listenedSignals: 0, refused: 3, keys: 2 });
    expect(await caught(queue.enqueue('d', 1, { signal }))).toBe(signal.reason);
  });
});

describe('AutoConcurrentPartitionedQueue: pause, resume, idle', () => {
  it('starts nothing while it is paused and goes on in order', async () => {
    const { clock, calls, queue, running } = heldQueue();
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    await clock.settle();
    queue.pause();
    queue.tryEnqueue('b', 1);
    calls.next().answer();
    await clock.settle();
    expect([running(), queue.stats.paused]).toEqual([[], true]);
    queue.resume();
    await clock.settle();
    expect(running().toSorted()).toEqual(['a2', 'b1']);
  });

  it('does not start a retry that falls due while it is paused', async () => {
    const { clock, calls, queue, running } = heldQueue();
    queue.tryEnqueue('a', 1);
    await clock.settle();
    calls.next().answer({ retryAfterMs: 10 });
    await clock.settle();
    queue.pause();
    await clock.advance(50);
    expect(running()).toEqual([]);
    queue.resume();
    await clock.settle();
    expect(running()).toEqual(['a1']);
  });

  it('is idle at the instant in which nothing is held', async () => {
    const { clock, calls, queue } = heldQueue();
    await queue.idle();
    queue.tryEnqueue('a', 1);
    let idle = 0;
    void queue.idle().then(() => idle++);
    void queue.idle().then(() => idle++);
    await clock.settle();
    expect(idle).toBe(0);
    calls.next().answer();
    await clock.settle();
    expect(idle).toBe(2);
    queue.tryEnqueue('a', 2);
    void queue.idle().then(() => idle++);
    await clock.settle();
    expect(idle).toBe(2);
  });
});

describe('AutoConcurrentPartitionedQueue: drain', () => {
  it('handles what was accepted, refuses the rest, and answers one promise', async () => {
    const { clock, calls, queue } = heldQueue({ capacity: 2 });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    const waiting = caught(queue.enqueue('b', 1));
    const drained = queue.drain();
    expect(queue.drain()).toBe(drained);
    expect(queue.tryEnqueue('c', 1)).toBe(false);
    const errors = [await waiting, await caught(queue.enqueue('c', 1))];
    expect(errors.map((error) => WorkerStoppedError.is(error) && error.item)).toEqual(['refused', 'refused']);
    await clock.settle();
    calls.next().answer();
    await clock.settle();
    calls.next().fail(new Error('bad'));
    await expect(drained).resolves.toEqual({ completed: 1, failed: 1, leftover: [], interrupted: 0 });
    expect(queue.stats).toMatchObject({ state: 'stopped', keys: 0, size: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('cuts the wait for a retry: the key is left over as it is', async () => {
    const { clock, calls, queue } = heldQueue();
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    queue.tryEnqueue('b', 1);
    await clock.settle();
    calls.next(0).answer({ retryAfterMs: 60_000 });
    await clock.settle();
    const drained = queue.drain();
    calls.next(0).answer();
    await expect(drained).resolves.toEqual({
      completed: 1,
      failed: 0,
      leftover: [
        { key: 'a', item: 1 },
        { key: 'a', item: 2 },
      ],
      interrupted: 0,
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it('starts no retry that a handler asks for during the drain', async () => {
    const { clock, calls, queue } = heldQueue();
    queue.tryEnqueue('a', 1);
    await clock.settle();
    const drained = queue.drain();
    calls.next().answer({ retryAfterMs: 0 });
    await expect(drained).resolves.toMatchObject({ leftover: [{ key: 'a', item: 1 }], interrupted: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves over what a paused queue holds, after the handlers that run', async () => {
    const { clock, calls, queue } = heldQueue();
    queue.tryEnqueue('a', 1);
    await clock.settle();
    queue.pause();
    queue.tryEnqueue('b', 1);
    const drained = queue.drain();
    queue.resume();
    await clock.settle();
    expect(queue.stats.state).toBe('draining');
    calls.next().answer();
    await expect(drained).resolves.toMatchObject({ completed: 1, leftover: [{ key: 'b', item: 1 }] });
    expect(calls.started).toBe(1);
  });

  it('tells the handlers when the time is used up and ignores what they still answer', async () => {
    const { clock, calls, errors, queue } = heldQueue({ concurrency: 2 });
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('a', 2);
    queue.tryEnqueue('b', 1);
    const idle = queue.idle();
    const drained = queue.drain({ timeoutMs: 20 });
    await clock.advance(20);
    await expect(drained).resolves.toEqual({
      completed: 0,
      failed: 0,
      leftover: [
        { key: 'a', item: 1 },
        { key: 'a', item: 2 },
        { key: 'b', item: 1 },
      ],
      interrupted: 2,
    });
    await idle;
    expect(WorkerStoppedError.is(calls.open[0]?.context.signal.reason)).toBe(true);
    calls.next().answer();
    calls.next().fail(new Error('cancelled'));
    await clock.settle();
    expect(errors).toEqual([]);
    expect(queue.stats).toMatchObject({ completed: 0, failed: 0, leftover: 3, inFlight: 0, size: 0, keys: 0 });
    expect(calls.started).toBe(2);
    expect(clock.pendingTimers).toBe(0);
  });
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
