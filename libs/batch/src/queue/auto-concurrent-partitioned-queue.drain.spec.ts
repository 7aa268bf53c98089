import { describe, expect, it } from 'vitest';
import { WorkerStoppedError } from '../batch.errors.js';
import { caught } from '../testing/caught.js';
import { heldQueue } from '../testing/held-queue.js';

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
