import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { InvalidWeightError, ItemTooHeavyError, QueueFullError, WorkerStoppedError } from '../batch.errors.js';
import { caught } from '../testing/caught.js';
import { heldWorker } from '../testing/held-worker.js';

describe('AutoBatchWorker: bounds', () => {
  it('counts an item from its acceptance until it is settled', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 2 });
    expect([worker.tryEnqueue('a'), worker.tryEnqueue('b'), worker.tryEnqueue('c')]).toEqual([true, true, false]);
    await clock.settle();
    expect(worker.tryEnqueue('c')).toBe(false);
    calls.next().answer();
    await clock.settle();
    expect(worker.tryEnqueue('c')).toBe(true);
    expect(worker.stats).toMatchObject({ accepted: 3, refused: 2 });
  });

  it('lets callers wait for room and wakes exactly as many as fit, first come first', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 2, maxBatchItems: 1, concurrency: 2 });
    const accepted: string[] = [];
    for (const item of ['a', 'b', 'c', 'd', 'e']) {
      void worker.enqueue(item).then(() => accepted.push(item));
    }
    await clock.settle();
    expect(accepted).toEqual(['a', 'b']);
    expect(worker.stats.waiting).toBe(3);
    calls.next().answer();
    await clock.settle();
    expect(accepted).toEqual(['a', 'b', 'c']);
  });

  it('does not let light items overtake a heavy one that waits', async () => {
    const { clock, calls, worker } = heldWorker({
      capacityWeight: 10,
      weigh: (item) => item.length,
      maxBatchItems: 1,
      concurrency: 9,
    });
    worker.tryEnqueue('12345');
    worker.tryEnqueue('12');
    const accepted: string[] = [];
    void worker.enqueue('12345678').then(() => accepted.push('heavy'));
    void worker.enqueue('1').then(() => accepted.push('light'));
    expect(worker.tryEnqueue('1')).toBe(false);
    await clock.settle();
    expect(accepted).toEqual([]);
    calls.next(0).answer();
    await clock.settle();
    expect(accepted).toEqual(['heavy']);
    calls.next(0).answer();
    await clock.settle();
    expect(accepted).toEqual(['heavy', 'light']);
    expect(worker.stats.weight).toBe(9);
  });

  it('rejects an item that is heavier than the whole capacity at once', async () => {
    const { worker } = heldWorker({ capacityWeight: 3, weigh: (item) => item.length });
    expect(() => worker.tryEnqueue('1234')).toThrow(ItemTooHeavyError);
    expect(ItemTooHeavyError.is(await caught(worker.submit('1234')))).toBe(true);
    expect(ItemTooHeavyError.is(await caught(worker.enqueue('1234')))).toBe(true);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('refuses the weight %s', async (weight) => {
    const { worker } = heldWorker({ weigh: () => weight });
    expect(InvalidWeightError.is(await caught(worker.enqueue('a')))).toBe(true);
  });

  it('handles items of weight 0 like others', async () => {
    const { clock, calls, worker } = heldWorker({ weigh: () => 0, capacityItems: 1 });
    expect([worker.tryEnqueue('a'), worker.tryEnqueue('b')]).toEqual([true, false]);
    await clock.settle();
    expect(calls.next().input).toEqual(['a']);
  });

  it('rejects at once by overflow "reject"', async () => {
    const { worker } = heldWorker({ capacityItems: 1, overflow: 'reject' });
    await worker.enqueue('a');
    const errors = await Promise.all([caught(worker.enqueue('b')), caught(worker.submit('c'))]);
    expect(errors.every((error) => QueueFullError.is(error))).toBe(true);
    expect(worker.stats).toMatchObject({ waiting: 0, refused: 2 });
  });

  it('bounds the callers that wait', async () => {
    const { worker } = heldWorker({ capacityItems: 1, maxWaiters: 1 });
    worker.tryEnqueue('a');
    const waiting = worker.enqueue('b');
    const error = await caught(worker.enqueue('c'));
    expect(QueueFullError.is(error) && error.bound).toBe('maxWaiters');
    const drained = worker.drain({ timeoutMs: 0, signal: AbortSignal.abort() });
    expect(WorkerStoppedError.is(await caught(waiting))).toBe(true);
    await drained;
  });
});

describe('AutoBatchWorker: abort signals', () => {
  it('takes an item back while it waits for its batch and gives its room away', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 2 });
    worker.tryEnqueue('a');
    await clock.settle();
    const controller = new AbortController();
    const withdrawn = caught(worker.submit('b', { signal: controller.signal }));
    const next = worker.enqueue('c');
    const reason = new Error('changed my mind');
    controller.abort(reason);
    expect(await withdrawn).toBe(reason);
    await next;
    calls.next().answer();
    await clock.settle();
    expect(calls.next().input).toEqual(['c']);
    expect(worker.stats).toMatchObject({ withdrawn: 1, accepted: 3, listenedSignals: 0 });
  });

  it('takes a caller back while it waits for room, and lets those behind it in', async () => {
    const { clock, worker } = heldWorker({ capacityWeight: 3, weigh: (item) => item.length });
    worker.tryEnqueue('12');
    const controller = new AbortController();
    const heavy = caught(worker.enqueue('123', { signal: controller.signal }));
    const light = worker.enqueue('1');
    controller.abort();
    await light;
    expect(await heavy).toBe(controller.signal.reason);
    await clock.settle();
    expect(worker.stats).toMatchObject({ accepted: 2, waiting: 0, refused: 1 });
  });

  it('leaves an item alone once a handler has it', async () => {
    const { clock, calls, worker } = heldWorker();
    const controller = new AbortController();
    const result = worker.submit('a', { signal: controller.signal });
    await clock.settle();
    controller.abort();
    calls.next().answer();
    await expect(result).resolves.toBeUndefined();
  });

  it('refuses a signal that has aborted already', async () => {
    const { worker } = heldWorker();
    expect(await caught(worker.submit('a', { signal: AbortSignal.abort('late') }))).toBe('late');
    expect(worker.stats.accepted).toBe(0);
  });

  it('listens once on a signal however many items wait on it, and no more when they are through', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 3 });
    const { signal } = new AbortController();
    const results = ['a', 'b', 'c', 'd', 'e'].map((item) => worker.submit(item, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await clock.settle();
    calls.next().answer();
    await clock.settle();
    calls.next().answer();
    await Promise.all(results);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('lets an accepted item of enqueue go on when the signal that guarded its wait aborts', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 1 });
    worker.tryEnqueue('a');
    const controller = new AbortController();
    const results = [
      worker.enqueue('b', { signal: controller.signal }),
      worker.enqueue('c', { signal: controller.signal }),
    ];
    await clock.settle();
    calls.next().answer();
    await clock.settle();
    controller.abort();
    const [b, c] = await Promise.allSettled(results);
    expect([b?.status, c?.status]).toEqual(['fulfilled', 'rejected']);
    expect(calls.next().input).toEqual(['b']);
  });
});
