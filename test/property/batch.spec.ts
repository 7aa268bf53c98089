import { getEventListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import {
  AutoBatchWorker,
  AutoConcurrentPartitionedQueue,
  type BatchContext,
  type BatchOutcome,
  type DrainReport,
  type KeyedItem,
  type PartitionedItemContext,
  type RetryLater,
  WorkerStoppedError,
} from '@smartpulse/batch';
import { HeldCalls } from '@smartpulse/batch/testing';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

// Failures are what these runs are made of; logged, they would only look like trouble.
Logger.overrideLogger(false);

const RUNS = { numRuns: 2_000 };
const SIGNALS = 3;

const newSignals = (): AbortController[] => Array.from({ length: SIGNALS }, () => new AbortController());
const listenersOn = (controllers: readonly AbortController[]): number =>
  controllers.reduce((sum, { signal }) => sum + getEventListeners(signal, 'abort').length, 0);

/** What was broken inside a handler or a callback, where a throw would only count as its failure. */
class Violations {
  readonly found: string[] = [];

  mustHold(holds: boolean, sentence: string): void {
    if (!holds) {
      this.found.push(sentence);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------- worker

interface Parcel {
  readonly id: number;
  readonly weight: number;
  /** `poison`: the handler throws for every batch that holds it. */
  readonly verdict: 'fulfilled' | 'rejected' | 'poison';
}

type WorkerAction =
  | { readonly do: 'tryEnqueue' | 'enqueue' | 'submit'; readonly parcel: Omit<Parcel, 'id'>; readonly signal: number }
  | { readonly do: 'answer' | 'fail' | 'abort'; readonly index: number }
  | { readonly do: 'settle' }
  | { readonly do: 'advance' | 'drain'; readonly ms: number };

const parcelArb = fc.record({
  weight: fc.constantFrom(0, 0.5, 1, 1, 2, 3),
  verdict: fc.constantFrom<Parcel['verdict'][]>('fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'poison'),
});
const workerActionArb: fc.Arbitrary<WorkerAction> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('tryEnqueue' as const, 'enqueue' as const, 'submit' as const),
      parcel: parcelArb,
      // One more than there are signals: none.
      signal: fc.nat(SIGNALS + 2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), index: fc.nat(SIGNALS - 1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 10, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), ms: fc.constantFrom(0, 10, 1_000) }) },
);
const workerSettingsArb = fc.record({
  maxBatchItems: fc.integer({ min: 1, max: 5 }),
  maxBatchWeight: fc.constantFrom(1, 4, Number.POSITIVE_INFINITY),
  concurrency: fc.integer({ min: 1, max: 3 }),
  capacityItems: fc.integer({ min: 1, max: 8 }),
  capacityWeight: fc.constantFrom(3, 6, Number.POSITIVE_INFINITY),
  overflow: fc.constantFrom('wait' as const, 'wait' as const, 'reject' as const),
  isolateFailures: fc.boolean(),
});
type WorkerSettings = typeof workerSettingsArb extends fc.Arbitrary<infer T> ? T : never;

/** A worker with a handler that the test answers, and the books of everything that became of every parcel. */
class WorkerRun extends Violations {
  readonly clock = new VirtualClock();
  readonly controllers = newSignals();
  readonly calls = new HeldCalls<readonly Parcel[], BatchContext, readonly BatchOutcome<number>[]>();
  readonly worker: AutoBatchWorker<Parcel, number>;
  /** What became of each parcel, one entry for each time that something did. */
  readonly fates = new Map<number, string[]>();
  readonly started: number[] = [];
  /** Callers that had to wait for room, in their order. */
  readonly waiting: { readonly weight: number; rejected: boolean }[] = [];
  drained: Promise<DrainReport<Parcel>> | undefined;
  #ids = 0;
  #inHandler = 0;

  constructor(readonly settings: WorkerSettings) {
    super();
    this.worker = new AutoBatchWorker<Parcel, number>(
      {
        name: 'run',
        weigh: ({ weight }) => weight,
        onItemFailed: (_error, { id }) => this.note(id, 'failed'),
        handler: async (parcels, context) => {
          const { maxBatchItems, maxBatchWeight, concurrency } = settings;
          this.mustHold(parcels.length <= maxBatchItems, 'a batch has too many items');
          const weight = parcels.reduce((sum, parcel) => sum + parcel.weight, 0);
          this.mustHold(parcels.length === 1 || weight <= maxBatchWeight, 'a batch is too heavy');
          this.mustHold(++this.#inHandler <= concurrency, 'too many batches at once');
          if (context.attempt === 1) {
            this.started.push(...parcels.map(({ id }) => id));
          }
          try {
            return await this.calls.handler(parcels, context);
          } finally {
            this.#inHandler--;
          }
        },
        ...settings,
      },
      { clock: this.clock },
    );
  }

  note(id: number, fate: string): void {
    this.fates.set(id, [...(this.fates.get(id) ?? []), fate]);
  }

  act(action: WorkerAction): Promise<void> | void {
    switch (action.do) {
      case 'tryEnqueue':
      case 'enqueue':
      case 'submit': {
        const parcel = { ...action.parcel, id: this.#ids++ };
        this.send(action.do, parcel, this.controllers[action.signal]?.signal);
        break;
      }
      case 'answer':
        this.answer(action.index);
        break;
      case 'fail':
        if (this.calls.open.length > 0) {
          this.calls.next(action.index % this.calls.open.length).fail(new Error('handler fails'));
        }
        break;
      case 'abort':
        this.controllers[action.index]?.abort(new Error('called off'));
        break;
      case 'advance':
        return this.clock.advance(action.ms);
      case 'drain':
        this.drain(action.ms);
        break;
      case 'settle':
        return this.settleAndCheck();
    }
  }

  send(how: 'tryEnqueue' | 'enqueue' | 'submit', parcel: Parcel, signal?: AbortSignal): void {
    const { id } = parcel;
    const stopped = this.worker.stats.state !== 'running';
    if (how === 'tryEnqueue') {
      const accepted = this.worker.tryEnqueue(parcel);
      this.mustHold(!(accepted && stopped), 'a stopped worker accepts');
      this.note(id, accepted ? 'accepted' : 'refused');
      return;
    }
    const waitingBefore = this.worker.stats.waiting;
    const promise: Promise<unknown> =
      how === 'enqueue' ? this.worker.enqueue(parcel, { signal }) : this.worker.submit(parcel, { signal });
    const wait = { weight: parcel.weight, rejected: false };
    if (this.worker.stats.waiting > waitingBefore) {
      this.waiting.push(wait);
    }
    promise.then(
      () => this.note(id, how === 'enqueue' ? 'accepted' : 'fulfilled'),
      (error: unknown) => {
        wait.rejected = true;
        this.mustHold(!stopped || WorkerStoppedError.is(error), 'a stopped worker refuses with another error');
        this.note(id, WorkerStoppedError.is(error) && error.item !== 'refused' ? 'leftover' : 'rejected');
      },
    );
  }

  answer(index: number): void {
    if (this.calls.open.length === 0) {
      return;
    }
    const call = this.calls.next(index % this.calls.open.length);
    if (call.input.some(({ verdict }) => verdict === 'poison')) {
      call.fail(new Error('poison'));
      return;
    }
    const outcomes = call.input.map(({ id, verdict }): BatchOutcome<number> => {
      // An effect counts only while the worker still listens; what an interrupted handler does is unknown by definition.
      if (!call.context.signal.aborted) {
        this.note(id, verdict === 'fulfilled' ? 'effect' : 'refusedByHandler');
      }
      return verdict === 'fulfilled'
        ? { status: 'fulfilled', value: id }
        : { status: 'rejected', error: new Error('no') };
    });
    call.answer(outcomes);
  }

  drain(timeoutMs: number): void {
    const first = this.drained === undefined;
    const drained = this.worker.drain({ timeoutMs });
    this.drained ??= drained;
    expect(drained).toBe(this.drained);
    if (first) {
      // The instant in which the drain ends is when things get lost.
      drained.then(
        () => {
          this.send('submit', { id: this.#ids++, weight: 1, verdict: 'fulfilled' });
          this.send('tryEnqueue', { id: this.#ids++, weight: 1, verdict: 'fulfilled' });
        },
        () => undefined,
      );
    }
  }

  async settleAndCheck(): Promise<void> {
    this.checkBounds();
    await this.clock.settle();
    this.checkBounds();
    const { queued, inFlight, weight, waiting, state } = this.worker.stats;
    const { capacityItems, capacityWeight, concurrency } = this.settings;
    // Nothing sleeps that could run.
    expect(queued === 0 || this.#inHandler === concurrency || state === 'stopped').toBe(true);
    expect(state === 'draining' && queued + inFlight === 0).toBe(false);
    // Room is given in order, so those who still wait are the last ones; the first of them does not fit.
    const first = this.waiting.filter(({ rejected }) => !rejected).at(-waiting);
    if (waiting > 0) {
      expect(queued + inFlight === capacityItems || weight + (first?.weight ?? 0) > capacityWeight).toBe(true);
    }
  }

  checkBounds(): void {
    const { queued, inFlight, weight, waiting, state } = this.worker.stats;
    expect(waiting > 0 && state !== 'running').toBe(false);
    expect(queued + inFlight).toBeLessThanOrEqual(this.settings.capacityItems);
    expect(weight).toBeLessThanOrEqual(this.settings.capacityWeight);
  }

  /** Ends the run and says what is wrong with its books. */
  async finish(): Promise<void> {
    this.drain(1_000);
    for (let round = 0; this.worker.stats.state !== 'stopped' && round < 40; round++) {
      this.answer(0);
      await this.settleAndCheck();
    }
    const report = await this.drained;
    // Late answers of handlers that were given up change nothing.
    while (this.calls.open.length > 0) {
      this.answer(0);
    }
    await this.clock.settle();
    const { stats } = this.worker;
    expect(stats).toMatchObject({
      state: 'stopped',
      queued: 0,
      inFlight: 0,
      waiting: 0,
      weight: 0,
      listenedSignals: 0,
    });
    expect(stats.completed + stats.failed + stats.withdrawn + stats.leftover).toBe(stats.accepted);
    expect(stats.leftover).toBe(report?.leftover.length);
    expect(this.clock.pendingTimers).toBe(0);
    expect(listenersOn(this.controllers)).toBe(0);
    expect(this.started).toEqual(this.started.toSorted((a, b) => a - b));
    expect(this.found).toEqual([]);
    this.checkFates(new Set(report?.leftover.map(({ id }) => id)), report?.leftover.length ?? 0);
  }

  checkFates(leftover: ReadonlySet<number>, leftoverCount: number): void {
    expect(leftover.size).toBe(leftoverCount);
    let completed = 0;
    for (const [id, fates] of this.fates) {
      const count = (fate: string): number => fates.filter((each) => each === fate).length;
      // A batch that is interrupted while its failures are isolated may have had effects: its outcome is unknown.
      const unknown = this.settings.isolateFailures && leftover.has(id);
      const effects = unknown ? 0 : count('effect');
      completed += effects;
      expect(count('effect')).toBeLessThanOrEqual(1);
      // Everybody is told one thing.
      expect(count('accepted') + count('fulfilled') + count('rejected') + count('refused') + count('leftover')).toBe(1);
      if (count('accepted') === 1) {
        // Nobody was told the result: it succeeded, failed, or is left over, and nothing twice.
        expect(effects + count('failed') + (leftover.has(id) ? 1 : 0)).toBe(1);
      } else {
        expect(effects).toBe(count('fulfilled'));
        expect(count('failed')).toBe(0);
        expect(leftover.has(id)).toBe(count('leftover') === 1);
      }
    }
    expect(this.worker.stats.completed).toBe(completed);
  }
}

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

// ----------------------------------------------------------------------------------------------------------------- queue

type Answer = 'done' | 'throw' | 'retry';

interface Job {
  readonly id: number;
  readonly key: string;
  /** What its handler answers, attempt by attempt; then it is done. */
  readonly answers: readonly Answer[];
  /** Whether its handler answers at once. */
  readonly sync: boolean;
}

type QueueAction =
  | { readonly do: 'tryEnqueue' | 'enqueue'; readonly job: Omit<Job, 'id'>; readonly signal: number }
  | { readonly do: 'answer' | 'abort'; readonly index: number }
  | { readonly do: 'settle' | 'pause' | 'resume' }
  | { readonly do: 'advance' | 'drain'; readonly ms: number };

const jobArb = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  answers: fc.array(fc.constantFrom<Answer[]>('done', 'done', 'throw', 'retry', 'retry'), { maxLength: 3 }),
  sync: fc.boolean(),
});
const queueActionArb: fc.Arbitrary<QueueAction> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('tryEnqueue' as const, 'enqueue' as const),
      job: jobArb,
      signal: fc.nat(SIGNALS + 2),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), index: fc.nat(SIGNALS - 1) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'pause' as const, 'resume' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 10, 100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), ms: fc.constantFrom(0, 10, 1_000) }) },
);
const queueSettingsArb = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  capacity: fc.integer({ min: 1, max: 8 }),
  maxPerKey: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  quantum: fc.integer({ min: 1, max: 3 }),
  overflow: fc.constantFrom('wait' as const, 'wait' as const, 'reject' as const),
});
type QueueSettings = typeof queueSettingsArb extends fc.Arbitrary<infer T> ? T : never;

/** A queue with a handler that the test answers, and the books of everything that became of every job. */
class QueueRun extends Violations {
  readonly clock = new VirtualClock();
  readonly controllers = newSignals();
  readonly calls = new HeldCalls<Job, PartitionedItemContext<string>, void | RetryLater>();
  readonly queue: AutoConcurrentPartitionedQueue<string, Job>;
  readonly fates = new Map<number, string[]>();
  /** The job of each key that was started and is not settled: in its handler or waiting for its next attempt. */
  readonly unsettled = new Map<string, Job>();
  readonly lastStarted = new Map<string, number>();
  drained: Promise<DrainReport<KeyedItem<string, Job>>> | undefined;
  readonly running = new Set<string>();
  #ids = 0;

  constructor(readonly settings: QueueSettings) {
    super();
    this.queue = new AutoConcurrentPartitionedQueue<string, Job>(
      {
        name: 'run',
        ...settings,
        handler: (job, context) => this.handle(job, context),
        onError: (_error, { id }) => this.note(id, 'failed'),
      },
      { clock: this.clock },
    );
  }

  note(id: number, fate: string): void {
    this.fates.set(id, [...(this.fates.get(id) ?? []), fate]);
  }

  handle(job: Job, context: PartitionedItemContext<string>): Promise<void | RetryLater> | void | RetryLater {
    const { key, attempt } = context;
    this.mustHold(key === job.key, 'an item comes with another key');
    this.mustHold(!this.running.has(key), 'two handlers have one key');
    this.running.add(key);
    this.mustHold(this.running.size <= this.settings.concurrency, 'too many handlers at once');
    const before = this.unsettled.get(key);
    this.mustHold(before === undefined ? attempt === 1 : before === job && attempt > 1, 'an item overtakes a retry');
    if (before === undefined) {
      this.mustHold((this.lastStarted.get(key) ?? -1) < job.id, 'items of a key start out of order');
      this.lastStarted.set(key, job.id);
      this.unsettled.set(key, job);
    }
    if (!job.sync) {
      return this.calls.handler(job, context);
    }
    return this.conclude(job, context);
  }

  /** The end of one call: the handler's answer, or its throw. */
  conclude(job: Job, { key, attempt, signal }: PartitionedItemContext<string>): void | RetryLater {
    const answer = job.answers[attempt - 1] ?? 'done';
    if (signal.aborted) {
      return;
    }
    this.running.delete(key);
    if (answer === 'retry') {
      return { retryAfterMs: attempt * 10 };
    }
    this.unsettled.delete(key);
    if (answer === 'throw') {
      throw new Error('handler throws');
    }
    this.note(job.id, 'done');
  }

  act(action: QueueAction): Promise<void> | void {
    switch (action.do) {
      case 'tryEnqueue':
      case 'enqueue': {
        const job = { ...action.job, id: this.#ids++ };
        this.send(action.do, job, this.controllers[action.signal]?.signal);
        break;
      }
      case 'answer':
        this.answer(action.index);
        break;
      case 'abort':
        this.controllers[action.index]?.abort(new Error('called off'));
        break;
      case 'pause':
        this.queue.pause();
        break;
      case 'resume':
        this.queue.resume();
        break;
      case 'advance':
        return this.clock.advance(action.ms);
      case 'drain':
        this.drain(action.ms);
        break;
      case 'settle':
        return this.settleAndCheck();
    }
  }

  send(how: 'tryEnqueue' | 'enqueue', job: Job, signal?: AbortSignal): void {
    const stopped = this.queue.stats.state !== 'running';
    if (how === 'tryEnqueue') {
      const accepted = this.queue.tryEnqueue(job.key, job);
      this.mustHold(!(accepted && stopped), 'a stopped queue accepts');
      this.note(job.id, accepted ? 'accepted' : 'refused');
      return;
    }
    this.queue.enqueue(job.key, job, { signal }).then(
      () => this.note(job.id, 'accepted'),
      (error: unknown) => {
        this.note(job.id, 'refused');
        this.mustHold(!stopped || WorkerStoppedError.is(error), 'a stopped queue refuses with another error');
      },
    );
  }

  answer(index: number): void {
    if (this.calls.open.length === 0) {
      return;
    }
    const call = this.calls.next(index % this.calls.open.length);
    try {
      call.answer(this.conclude(call.input, call.context));
    } catch (error) {
      call.fail(error instanceof Error ? error : new Error('no error'));
    }
  }

  drain(timeoutMs: number): void {
    const first = this.drained === undefined;
    const drained = this.queue.drain({ timeoutMs });
    this.drained ??= drained;
    expect(drained).toBe(this.drained);
    if (first) {
      const late = (): Job => ({ id: this.#ids++, key: 'a', answers: [], sync: true });
      drained.then(
        () => {
          this.send('enqueue', late());
          this.send('tryEnqueue', late());
        },
        () => undefined,
      );
    }
  }

  checkBounds(): void {
    const { size, inFlight, keys, waiting, state } = this.queue.stats;
    expect(waiting > 0 && state !== 'running').toBe(false);
    expect(size).toBeLessThanOrEqual(this.settings.capacity);
    expect(inFlight).toBeLessThanOrEqual(this.settings.concurrency);
    expect(keys).toBeLessThanOrEqual(size + waiting);
  }

  async settleAndCheck(): Promise<void> {
    await this.clock.settle();
    this.checkBounds();
    const { size, inFlight, retrying, waiting, paused, state, keys } = this.queue.stats;
    const { capacity, concurrency, maxPerKey } = this.settings;
    if (state === 'stopped') {
      return;
    }
    expect(this.clock.pendingTimers).toBe(retrying + (state === 'draining' ? 1 : 0));
    // Nothing sleeps that could run: all keys with items run or retry, or every place is taken.
    if (!paused && state === 'running' && inFlight < concurrency && waiting === 0) {
      expect(inFlight + retrying).toBe(keys);
    }
    expect(state === 'draining' && inFlight === 0 && size === 0).toBe(false);
    // Nobody waits for room that is there: it is the whole, or the key, that is full.
    expect(waiting > 0 && size < capacity && maxPerKey === undefined).toBe(false);
    expect(waiting > 0 && size === 0).toBe(false);
  }

  async finish(): Promise<void> {
    this.queue.resume();
    await this.settleAndCheck();
    this.drain(1_000);
    for (let round = 0; this.queue.stats.state !== 'stopped' && round < 60; round++) {
      this.answer(0);
      await this.settleAndCheck();
    }
    const report = await this.drained;
    while (this.calls.open.length > 0) {
      this.answer(0);
    }
    await this.clock.settle();
    const { stats } = this.queue;
    expect(stats).toMatchObject({ state: 'stopped', size: 0, inFlight: 0, retrying: 0, keys: 0, waiting: 0 });
    expect(stats.listenedSignals + listenersOn(this.controllers)).toBe(0);
    expect(this.clock.pendingTimers).toBe(0);
    expect(stats.completed + stats.failed + stats.leftover).toBe(stats.accepted);
    await this.queue.idle();
    expect(this.found).toEqual([]);

    const leftover = report?.leftover ?? [];
    const leftoverIds = new Set(leftover.map(({ item }) => item.id));
    expect(leftoverIds.size).toBe(leftover.length);
    for (const key of ['a', 'b', 'c', 'd']) {
      const ids = leftover.filter((each) => each.key === key).map(({ item }) => item.id);
      expect(ids).toEqual(ids.toSorted((x, y) => x - y));
    }
    for (const [id, fates] of this.fates) {
      const count = (fate: string): number => fates.filter((each) => each === fate).length;
      expect(count('accepted') + count('refused')).toBe(1);
      expect(count('done') + count('failed') + (leftoverIds.has(id) ? 1 : 0)).toBe(count('accepted'));
    }
  }
}

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
