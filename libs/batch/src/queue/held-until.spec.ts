import { describe, expect, it } from 'vitest';
import { heldQueue } from '../testing/held-queue.js';
import type { RetryLater } from './partitioned-queue.options.js';

function later(): {
  readonly heldUntil: Promise<void | RetryLater>;
  end(answer?: RetryLater): void;
  fail(error: Error): void;
} {
  let end: (answer?: RetryLater) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const heldUntil = new Promise<void | RetryLater>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return { heldUntil, end: (answer) => end(answer), fail: (error) => fail(error) };
}

describe('AutoConcurrentPartitionedQueue: an item whose handler is done and whose end is not known yet', () => {
  it('frees the slot for other keys and holds its own', async () => {
    const { clock, calls, queue, running } = heldQueue({ concurrency: 1 });
    const receipt = later();
    ['a', 'a', 'b', 'c'].forEach((key, item) => queue.tryEnqueue(key, item));
    await clock.settle();
    calls.next().answer(receipt);
    await clock.settle();
    expect(running()).toEqual(['b2']);
    expect(queue.stats).toMatchObject({ inFlight: 2, completed: 0, size: 4 });
    calls.next().answer();
    await clock.settle();
    expect(running()).toEqual(['c3']);
    receipt.end();
    await clock.settle();
    // The slot is taken: the key waits for its turn like any other.
    expect(running()).toEqual(['c3']);
    calls.next().answer();
    await clock.settle();
    expect(running()).toEqual(['a1']);
    calls.next().answer();
    await clock.settle();
    expect(queue.stats).toMatchObject({ completed: 4, size: 0, inFlight: 0, keys: 0 });
  });

  it('comes again, or has failed, when that is what it ends with', async () => {
    const { clock, calls, errors, queue, running } = heldQueue({ concurrency: 1 });
    const [again, failing] = [later(), later()];
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('b', 2);
    await clock.settle();
    calls.next().answer(again);
    await clock.settle();
    calls.next().answer(failing);
    await clock.settle();
    again.end({ retryAfterMs: 100 });
    failing.fail(new RangeError('no'));
    await clock.settle();
    expect(errors).toEqual([new RangeError('no')]);
    expect(queue.stats).toMatchObject({ retrying: 1, failed: 1, inFlight: 0 });
    await clock.advance(100);
    expect(running()).toEqual(['a1']);
    expect(calls.open[0]?.context.attempt).toBe(2);
  });

  it('has its end in common with others that wait for the same', async () => {
    const { clock, calls, errors, queue, running } = heldQueue({ concurrency: 1 });
    const receipt = later();
    ['a', 'b', 'b', 'c'].forEach((key, item) => queue.tryEnqueue(key, item));
    for (let n = 0; n < 3; n++) {
      await clock.settle();
      calls.next().answer(receipt);
    }
    await clock.settle();
    expect([running(), queue.stats.inFlight]).toEqual([[], 3]);
    receipt.fail(new RangeError('no'));
    await clock.settle();
    expect(errors).toEqual([new RangeError('no'), new RangeError('no'), new RangeError('no')]);
    expect(running()).toEqual(['b2']);
    // It has ended already: whoever comes later does not wait.
    calls.next().answer(receipt);
    await clock.settle();
    expect(queue.stats).toMatchObject({ failed: 4, size: 0, inFlight: 0 });
  });

  it('is waited for by a drain, which also handles what is behind it; one that never ends is reported', async () => {
    const { clock, calls, queue, running } = heldQueue();
    const receipt = later();
    [1, 2].forEach((item) => queue.tryEnqueue('a', item));
    await clock.settle();
    calls.next().answer(receipt);
    const draining = queue.drain({ timeoutMs: 1_000 });
    await clock.settle();
    expect([queue.stats.state, running()]).toEqual(['draining', []]);
    receipt.end();
    await clock.settle();
    expect(running()).toEqual(['a2']);
    calls.next().answer(later());
    await clock.advance(1_000);
    expect(await draining).toMatchObject({ completed: 1, interrupted: 1, leftover: [{ key: 'a', item: 2 }] });
  });

  it('changes nothing any more when it ends after the queue has stopped', async () => {
    const { clock, calls, errors, queue } = heldQueue();
    const [late, failing] = [later(), later()];
    queue.tryEnqueue('a', 1);
    queue.tryEnqueue('b', 2);
    await clock.settle();
    calls.next().answer(late);
    calls.next().answer(failing);
    const draining = queue.drain({ timeoutMs: 10 });
    await clock.advance(10);
    const report = await draining;
    late.end();
    failing.fail(new Error('late'));
    await clock.settle();
    expect(report).toMatchObject({ completed: 0, interrupted: 2 });
    expect([errors, queue.stats.completed, queue.stats.inFlight]).toEqual([[], 0, 0]);
  });
});
