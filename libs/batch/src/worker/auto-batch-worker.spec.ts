import { getEventListeners } from 'node:events';
import { ConfigurationError } from '@smartpulse/resilience';
import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import {
  HandlerContractError,
  HandlerThrewError,
  InvalidWeightError,
  ItemTooHeavyError,
  QueueFullError,
  WorkerStoppedError,
} from '../batch.errors.js';
import { HeldCalls } from '../testing/held-calls.js';
import { AutoBatchWorker } from './auto-batch-worker.js';
import type { AutoBatchWorkerOptions } from './auto-batch-worker.options.js';
import type { BatchContext, BatchOutcome } from './batch-outcome.js';

// What is logged on purpose would only look like trouble in the output of the run.
Logger.overrideLogger(false);

type Settings<TResult> = Omit<AutoBatchWorkerOptions<string, TResult>, 'name' | 'handler'>;

function heldWorker(settings: Settings<void> = {}) {
  const clock = new VirtualClock();
  const calls = new HeldCalls<readonly string[], BatchContext, void>();
  const worker = new AutoBatchWorker<string>(
    { name: 'test', handler: calls.handler, ...settings },
    { clock, random: new SeededRandom() },
  );
  return { clock, calls, worker };
}

function echoWorker(handler: AutoBatchWorkerOptions<string, string>['handler'], settings: Settings<string> = {}) {
  const clock = new VirtualClock();
  const worker = new AutoBatchWorker<string, string>({ name: 'test', handler, ...settings }, { clock });
  return { clock, worker };
}

const fulfilled = (value: string): BatchOutcome<string> => ({ status: 'fulfilled', value });
const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

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

describe('AutoBatchWorker: isolateFailures', () => {
  const poisonous = (poison: readonly string[], seen: string[][]) => (items: readonly string[]) => {
    seen.push([...items]);
    if (items.some((item) => poison.includes(item))) {
      throw new Error(`poison among ${items.length}`);
    }
    return items.map(fulfilled);
  };

  it('rejects exactly the items that make the handler throw', async () => {
    const seen: string[][] = [];
    const { worker } = echoWorker(poisonous(['c', 'g'], seen), { isolateFailures: true });
    const settled = await Promise.allSettled('abcdefgh'.split('').map((item) => worker.submit(item)));
    expect(settled.map(({ status }) => status === 'rejected')).toEqual(
      'abcdefgh'.split('').map((item) => 'cg'.includes(item)),
    );
    expect(settled[2]).toMatchObject({ reason: { message: 'poison among 1' } });
    expect(seen.length).toBeLessThanOrEqual(17);
  });

  it('hands the items on in their order and counts the attempts', async () => {
    const order: string[] = [];
    const attempts: number[] = [];
    const { worker } = echoWorker(
      (items, { attempt }) => {
        attempts.push(attempt);
        if (items.includes('b')) {
          throw new Error('poison');
        }
        order.push(...items);
        return items.map(fulfilled);
      },
      { isolateFailures: true },
    );
    await Promise.allSettled('abcd'.split('').map((item) => worker.submit(item)));
    expect(order).toEqual(['a', 'c', 'd']);
    expect(attempts).toEqual([1, 2, 3, 3, 2]);
  });

  it('gives up after 4·log2(n) + 4 calls when everything is poison', async () => {
    const seen: string[][] = [];
    const items = Array.from({ length: 64 }, (_, index) => `${index}`);
    const { worker } = echoWorker(poisonous(items, seen), { isolateFailures: true });
    const settled = await Promise.allSettled(items.map((item) => worker.submit(item)));
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
    expect(seen).toHaveLength(1 + 28);
  });

  it('does not halve a batch whose handler broke its contract', async () => {
    let calls = 0;
    const { worker } = echoWorker(
      () => {
        calls++;
        return [];
      },
      { isolateFailures: true },
    );
    await Promise.allSettled([worker.submit('a'), worker.submit('b')]);
    expect(calls).toBe(1);
  });
});

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

describe('AutoBatchWorker: drain', () => {
  it('finishes what was accepted and answers the same promise to every caller', async () => {
    const { clock, calls, worker } = heldWorker({ maxBatchItems: 1 });
    const result = worker.submit('a');
    worker.tryEnqueue('b');
    const drained = worker.drain();
    expect(worker.drain()).toBe(drained);
    expect(worker.stats.state).toBe('draining');
    await clock.settle();
    calls.next().answer();
    await clock.settle();
    calls.next().fail(new Error('b fails'));
    await expect(drained).resolves.toEqual({ completed: 1, failed: 1, leftover: [], interrupted: 0 });
    await result;
    expect(worker.stats.state).toBe('stopped');
    expect(worker.drain()).toBe(drained);
    expect(clock.pendingTimers).toBe(0);
  });

  it('stops at once when there is nothing to do', async () => {
    const { clock, worker } = heldWorker();
    await expect(worker.drain()).resolves.toEqual({ completed: 0, failed: 0, leftover: [], interrupted: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses everything from the call on, also those who wait for room', async () => {
    const { clock, calls, worker } = heldWorker({ capacityItems: 1 });
    worker.tryEnqueue('a');
    const waiting = caught(worker.submit('b'));
    const drained = worker.drain();
    const errors = await Promise.all([waiting, caught(worker.enqueue('c')), caught(worker.submit('d'))]);
    expect(errors.map((error) => WorkerStoppedError.is(error) && error.item)).toEqual([
      'refused',
      'refused',
      'refused',
    ]);
    expect(worker.tryEnqueue('e')).toBe(false);
    await clock.settle();
    calls.next().answer();
    await drained;
    expect(WorkerStoppedError.is(await caught(worker.enqueue('f')))).toBe(true);
  });

  it('reports what is left when the time is used up, tells the handler, and rejects the submitters', async () => {
    const { clock, calls, worker } = heldWorker({ maxBatchItems: 1 });
    const started = caught(worker.submit('a'));
    const queued = caught(worker.submit('b'));
    await clock.settle();
    const drained = worker.drain({ timeoutMs: 500 });
    await clock.advance(499);
    expect(worker.stats.state).toBe('draining');
    await clock.advance(1);
    await expect(drained).resolves.toEqual({ completed: 0, failed: 0, leftover: ['a', 'b'], interrupted: 1 });
    const [a, b] = [await started, await queued];
    expect(WorkerStoppedError.is(a) && a.item).toBe('interrupted');
    expect(WorkerStoppedError.is(b) && b.item).toBe('unstarted');
    const call = calls.next();
    expect(call.context.signal.aborted).toBe(true);
    call.answer();
    await clock.settle();
    expect(worker.stats).toMatchObject({ completed: 0, leftover: 2, inFlight: 0, queued: 0, weight: 0 });
    expect(calls.started).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends early by its signal and leaves no listener on it', async () => {
    const { worker } = heldWorker();
    worker.tryEnqueue('a');
    const controller = new AbortController();
    const drained = worker.drain({ signal: controller.signal });
    controller.abort();
    await expect(drained).resolves.toMatchObject({ leftover: ['a'], interrupted: 0 });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('ends when the last item that waits for its batch is taken back', async () => {
    const { clock, calls, worker } = heldWorker();
    const controller = new AbortController();
    const result = caught(worker.submit('a', { signal: controller.signal }));
    const drained = worker.drain();
    controller.abort();
    await expect(drained).resolves.toEqual({ completed: 0, failed: 0, leftover: [], interrupted: 0 });
    expect(await result).toBe(controller.signal.reason);
    expect([calls.started, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('takes 10 seconds at most when nobody says how long', async () => {
    const { clock, worker } = heldWorker();
    worker.tryEnqueue('a');
    await clock.settle();
    const drained = worker.drain();
    await clock.advance(10_000);
    await expect(drained).resolves.toMatchObject({ leftover: ['a'], interrupted: 1 });
  });

  it('refuses a time that is none', async () => {
    const { worker } = heldWorker();
    expect(ConfigurationError.is(await caught(worker.drain({ timeoutMs: -1 })))).toBe(true);
    expect(worker.stats.state).toBe('running');
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
      '',
      'capacityWeight',
      'handler',
      'maxBatchItems',
      'name',
      'overflow',
    ]);
    expect(String(error)).toContain('speed');
  });
});
