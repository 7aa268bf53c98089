import { getEventListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { WorkerStoppedError } from '../batch.errors.js';
import { caught } from '../testing/caught.js';
import { heldWorker } from '../testing/held-worker.js';

// What is logged on purpose would only look like trouble in the output of the run.
Logger.overrideLogger(false);

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
