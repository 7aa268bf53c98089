import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { QueueFullError, WorkerStoppedError } from '../batch.errors.js';
import { caught } from '../testing/caught.js';
import { heldQueue } from '../testing/held-queue.js';

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

  it('says that it is hungry when a handler is free and all that it holds waits behind its key or for its next attempt', async () => {
    let told = 0;
    const { clock, calls, queue } = heldQueue({ concurrency: 2, onHungry: () => told++ });
    expect(queue.hungry).toBe(true);
    [1, 2, 3].forEach((item) => queue.tryEnqueue('a', item));
    // Its first item could start.
    expect(queue.hungry).toBe(false);
    await clock.settle();
    expect([queue.hungry, queue.stats.inFlight, told]).toEqual([true, 1, 1]);
    queue.tryEnqueue('b', 1);
    await clock.settle();
    expect([queue.hungry, queue.stats.inFlight, told]).toEqual([false, 2, 1]);
    calls.next(1).answer({ retryAfterMs: 1_000 });
    await clock.settle();
    expect([queue.hungry, queue.stats.inFlight, told]).toEqual([true, 1, 2]);
    queue.pause();
    expect(queue.hungry).toBe(false);
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
