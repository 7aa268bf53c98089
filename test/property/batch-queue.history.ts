import {
  AutoConcurrentPartitionedQueue,
  type DrainReport,
  type KeyedItem,
  type PartitionedItemContext,
  type QueueAnswer,
  type RetryLater,
  WorkerStoppedError,
} from '@smartpulse/batch';
import { HeldCalls } from '@smartpulse/batch/testing';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { listenersOn, newSignals, SIGNALS, Violations } from './batch.history.js';

const KEYS = ['a', 'b', 'c', 'd'];

type Answer = 'done' | 'throw' | 'retry';

interface Job {
  readonly id: number;
  readonly key: string;
  /** What its handler answers, attempt by attempt; then it is done. */
  readonly answers: readonly Answer[];
  /** Whether its handler answers at once. */
  readonly sync: boolean;
  /** Whether its handler is done before its end is known. */
  readonly held: boolean;
}

type QueueAction =
  | { readonly do: 'tryEnqueue' | 'enqueue'; readonly job: Omit<Job, 'id'>; readonly signal: number }
  | { readonly do: 'answer' | 'release' | 'abort'; readonly index: number }
  | { readonly do: 'settle' | 'pause' | 'resume' }
  | { readonly do: 'advance' | 'drain'; readonly ms: number };

const jobArb = fc.record({
  key: fc.constantFrom(...KEYS),
  answers: fc.array(fc.constantFrom<Answer[]>('done', 'done', 'throw', 'retry', 'retry'), { maxLength: 3 }),
  sync: fc.boolean(),
  held: fc.constantFrom(false, false, true),
});
/** One thing that happens to a queue. */
export const queueActionArb: fc.Arbitrary<QueueAction> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('tryEnqueue' as const, 'enqueue' as const),
      job: jobArb,
      signal: fc.nat(SIGNALS),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), index: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), index: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('abort' as const), index: fc.nat(SIGNALS - 1) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'pause' as const, 'resume' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 10, 100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), ms: fc.constantFrom(0, 10, 1_000) }) },
);
/** The bounds of a queue. */
export const queueSettingsArb = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  capacity: fc.integer({ min: 1, max: 8 }),
  maxPerKey: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  quantum: fc.integer({ min: 1, max: 3 }),
  overflow: fc.constantFrom('wait' as const, 'wait' as const, 'reject' as const),
});
type QueueSettings = typeof queueSettingsArb extends fc.Arbitrary<infer T> ? T : never;

/** A queue with a handler that the test answers, and the books of everything that became of every job. */
export class QueueRun extends Violations {
  readonly clock = new VirtualClock();
  readonly controllers = newSignals();
  /** Controllers whose signal has aborted; others took their places. */
  readonly calledOff: AbortController[] = [];
  readonly calls = new HeldCalls<Job, PartitionedItemContext<string>, QueueAnswer>();
  readonly queue: AutoConcurrentPartitionedQueue<string, Job>;
  readonly fates = new Map<number, string[]>();
  /** The job of each key that was started and is not settled: in its handler or waiting for its next attempt. */
  readonly unsettled = new Map<string, Job>();
  readonly lastStarted = new Map<string, number>();
  readonly keys = new Map<number, string>();
  drained: Promise<DrainReport<KeyedItem<string, Job>>> | undefined;
  readonly running = new Set<string>();
  /** What ends the items that are held. */
  readonly #held: (() => void)[] = [];
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

  handle(job: Job, context: PartitionedItemContext<string>): Promise<QueueAnswer> | QueueAnswer {
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
    return this.end(job, context);
  }

  /** The handler is done: its answer, or that it will be known later. */
  end(job: Job, context: PartitionedItemContext<string>): QueueAnswer {
    if (!job.held || context.signal.aborted) {
      return this.conclude(job, context);
    }
    this.running.delete(job.key);
    return {
      heldUntil: new Promise((resolve, reject) => {
        this.#held.push(() => {
          try {
            resolve(this.conclude(job, context));
          } catch (error) {
            reject(error instanceof Error ? error : new Error('no error'));
          }
        });
      }),
    };
  }

  release(index: number): void {
    const [end] = this.#held.splice(index % Math.max(1, this.#held.length), 1);
    end?.();
  }

  /** What comes of one call: the handler's answer, or its throw. */
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
      case 'release':
        this.release(action.index);
        break;
      case 'abort':
        this.callOff(action.index);
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
    this.keys.set(job.id, job.key);
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

  callOff(index: number): void {
    const [controller] = this.controllers.splice(index, 1, new AbortController());
    if (controller !== undefined) {
      controller.abort(new Error('called off'));
      this.calledOff.push(controller);
    }
  }

  answer(index: number): void {
    if (this.calls.open.length === 0) {
      return;
    }
    const call = this.calls.next(index % this.calls.open.length);
    try {
      call.answer(this.end(call.input, call.context));
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
      const late = (): Job => ({ id: this.#ids++, key: 'a', answers: [], sync: true, held: false });
      drained.then(
        () => {
          this.send('enqueue', late());
          this.send('tryEnqueue', late());
        },
        () => undefined,
      );
    }
  }

  /** Items of the key that are accepted and not settled. */
  held(key: string): number {
    return [...this.fates].filter(
      ([id, fates]) =>
        this.keys.get(id) === key && fates.includes('accepted') && !fates.includes('done') && !fates.includes('failed'),
    ).length;
  }

  checkBounds(): void {
    const { size, inFlight, keys, waiting, state } = this.queue.stats;
    expect(waiting > 0 && state !== 'running').toBe(false);
    expect(size).toBeLessThanOrEqual(this.settings.capacity);
    expect(inFlight - this.#held.length).toBeLessThanOrEqual(this.settings.concurrency);
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
    for (const key of KEYS) {
      expect(this.held(key)).toBeLessThanOrEqual(maxPerKey ?? capacity);
    }
    // Nothing sleeps that could run: all keys with items run or retry, or every place is taken.
    if (!paused && state === 'running' && inFlight - this.#held.length < concurrency && waiting === 0) {
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
      this.release(0);
      await this.settleAndCheck();
    }
    const report = await this.drained;
    while (this.calls.open.length > 0) {
      this.answer(0);
    }
    while (this.#held.length > 0) {
      this.release(0);
    }
    await this.clock.settle();
    const { stats } = this.queue;
    expect(stats).toMatchObject({ state: 'stopped', size: 0, inFlight: 0, retrying: 0, keys: 0, waiting: 0 });
    expect(stats.listenedSignals + listenersOn([...this.controllers, ...this.calledOff])).toBe(0);
    expect(this.clock.pendingTimers).toBe(0);
    expect(stats.completed + stats.failed + stats.leftover).toBe(stats.accepted);
    await this.queue.idle();
    expect(this.found).toEqual([]);

    const leftover = report?.leftover ?? [];
    const leftoverIds = new Set(leftover.map(({ item }) => item.id));
    expect(leftoverIds.size).toBe(leftover.length);
    for (const key of KEYS) {
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
