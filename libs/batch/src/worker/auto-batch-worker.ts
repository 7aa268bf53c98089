import { Logger } from '@nestjs/common';
import { checkOptions, type Clock } from '@smartpulse/resilience';
import { AbortListeners } from '../abort/abort-listeners.js';
import { QueueFullError, WorkerStoppedError } from '../batch.errors.js';
import { CapacityGate } from '../capacity/capacity-gate.js';
import { LinkedList } from '../capacity/linked-list.js';
import { withDefaults } from '../configuration/with-defaults.js';
import { AwaitedInstant } from '../drain/awaited-instant.js';
import { Drain } from '../drain/drain.js';
import { checkDrainOptions } from '../drain/drain-options.js';
import type { DrainOptions, DrainReport, LifecycleState } from '../drain/drain-report.js';
import { WorkSlice } from '../pacing/work-slice.js';
import {
  AUTO_BATCH_WORKER_DEFAULTS,
  type AutoBatchWorkerDefaults,
  type AutoBatchWorkerOptions,
  autoBatchWorkerSchema,
  type WaitOptions,
  type WorkerTime,
} from './auto-batch-worker.options.js';
import { BatchEntry } from './batch-entry.js';
import { type BatchResult, callHandler } from './batch-call.js';
import { type BatchSizer, createSizer } from './batch-sizing.js';
import type { BatchWorkerStats } from './batch-worker-stats.js';
import { isolateFailures } from './isolate-failures.js';
import { weightOf } from './item-weight.js';
import { RunningBatch } from './running-batch.js';
import { reportUnheard, settleEntries } from './settle-entries.js';
import { startCounting } from './worker-counters.js';

/**
 * Collects single items into batches: many callers each save one thing, the database sees one transaction.
 *
 * It promises: a free worker takes what is there at once, so an idle one adds no latency; what is accepted is settled exactly once, or
 * stands in the report of {@link drain}; never more than `concurrency` batches run, never more than the capacity is held, counted from
 * acceptance until the item is settled; callers get room in the order in which they asked for it.
 *
 * @example
 * ```ts
 * const worker = new AutoBatchWorker<Order, number>(
 *   { name: 'orders', handler: (orders) => repository.insertAll(orders), maxBatchItems: 500 },
 *   { clock, random },
 * );
 * const id = await worker.submit(order);
 * await worker.drain({ timeoutMs: 5_000 });
 * ```
 */
export class AutoBatchWorker<TItem, TResult = void> {
  readonly #options: AutoBatchWorkerOptions<TItem, TResult>;
  readonly #bounds: AutoBatchWorkerDefaults;
  readonly #clock: Clock;
  readonly #idPrefix: string;
  readonly #logger = new Logger(AutoBatchWorker.name);
  readonly #gate: CapacityGate<BatchEntry<TItem, TResult>>;
  readonly #queue = new LinkedList<BatchEntry<TItem, TResult>>();
  readonly #running = new Set<RunningBatch<TItem, TResult>>();
  readonly #aborts = new AbortListeners<BatchEntry<TItem, TResult>>((entry, reason) => this.#calledOff(entry, reason));
  readonly #counters = startCounting();
  readonly #sizer: BatchSizer;
  readonly #slice: WorkSlice;
  readonly #accepted = Promise.resolve();
  readonly #quiet = new AwaitedInstant();
  readonly #pump = (): void => this.#startBatches();
  #state: LifecycleState = 'running';
  #pumpScheduled = false;
  #inFlight = 0;
  #drain: Drain<TItem> | undefined;

  /**
   * @param defaults what holds where `options` says nothing.
   * @throws ConfigurationError that lists everything that is wrong with the options.
   */
  constructor(
    options: AutoBatchWorkerOptions<TItem, TResult>,
    time: WorkerTime,
    defaults: AutoBatchWorkerDefaults = AUTO_BATCH_WORKER_DEFAULTS,
  ) {
    checkOptions('AutoBatchWorker', autoBatchWorkerSchema, options);
    this.#options = options;
    this.#bounds = withDefaults(defaults, options);
    this.#clock = time.clock;
    this.#idPrefix = time.random?.id() ?? options.name;
    const { capacityItems, capacityWeight } = this.#bounds;
    this.#gate = new CapacityGate(capacityItems, capacityWeight, (entry) => this.#admitted(entry));
    this.#sizer = createSizer(this.#bounds.sizing, this.#bounds.maxBatchItems);
    this.#slice = new WorkSlice(time.clock);
  }

  /** The name it was given. */
  get name(): string {
    return this.#options.name;
  }

  /** Figures of this instant. */
  get stats(): BatchWorkerStats {
    return {
      name: this.name,
      state: this.#state,
      queued: this.#queue.size,
      inFlight: this.#inFlight,
      waiting: this.#gate.waiters.size,
      weight: this.#gate.weight,
      capacityItems: this.#bounds.capacityItems,
      capacityWeight: this.#bounds.capacityWeight,
      listenedSignals: this.#aborts.size,
      ...this.#counters,
    };
  }

  /**
   * Accepts the item if there is room and nobody waits for it; answers whether it did. Nobody is told the result; failures go to
   * `onItemFailed`. `false` also when it drains or has stopped.
   *
   * @throws ItemTooHeavyError when the item can never fit; InvalidWeightError.
   */
  tryEnqueue(item: TItem): boolean {
    const entry = this.#entry(item);
    if (this.#state !== 'running' || !this.#gate.tryTake(entry.weight)) {
      this.#counters.refused++;
      return false;
    }
    this.#accept(entry);
    return true;
  }

  /**
   * Resolves when the item is accepted: at once, or when there is room. Nobody is told the result; failures go to `onItemFailed`.
   *
   * @throws WorkerStoppedError while it drains and after; QueueFullError by overflow `reject` or `maxWaiters`; ItemTooHeavyError;
   *   InvalidWeightError; the signal's reason.
   */
  enqueue(item: TItem, options?: WaitOptions): Promise<void> {
    try {
      const signal = options?.signal;
      const entry = this.#intake(item, signal);
      if (this.#takeRoom(entry)) {
        this.#accept(entry);
        return this.#accepted;
      }
      return new Promise<void>((resolve, reject) => {
        entry.accept = resolve;
        entry.reject = reject;
        this.#watch(entry, signal);
        this.#gate.wait(entry);
      });
    } catch (error) {
      this.#counters.refused++;
      return Promise.reject(error);
    }
  }

  /**
   * Resolves with the item's own result, when its batch is done; waits for room first where there is none.
   *
   * @throws what the handler reported or threw for the item; what {@link enqueue} throws; WorkerStoppedError when a drain left it over.
   */
  submit(item: TItem, options?: WaitOptions): Promise<TResult> {
    try {
      const signal = options?.signal;
      const entry = this.#intake(item, signal);
      const hasRoom = this.#takeRoom(entry);
      return new Promise<TResult>((resolve, reject) => {
        entry.resolve = resolve;
        entry.reject = reject;
        this.#watch(entry, signal);
        if (hasRoom) {
          this.#accept(entry);
        } else {
          this.#gate.wait(entry);
        }
      });
    } catch (error) {
      this.#counters.refused++;
      return Promise.reject(error);
    }
  }

  /** Resolves as soon as nothing is accepted that is not settled: now, if that is so. It goes on accepting. */
  quiet(): Promise<void> {
    return this.#isEmpty() ? this.#accepted : this.#quiet.next();
  }

  /**
   * Stops: takes nothing new, refuses callers that wait for room, finishes what was accepted, and answers what it did. May be called as
   * often as you like; the first call decides how long it takes.
   *
   * When the time is used up, handlers are told by their signal, and what is not finished is left over: it stands in the report and its
   * submitters get a WorkerStoppedError.
   */
  drain(options: DrainOptions = {}): Promise<DrainReport<TItem>> {
    if (this.#drain !== undefined) {
      return this.#drain.promise;
    }
    try {
      checkDrainOptions(`AutoBatchWorker "${this.name}"`, options);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#state = 'draining';
    const drain = new Drain<TItem>(this.#clock, options, this.#counters, () => this.#stop());
    this.#drain = drain;
    this.#refuseWaiters();
    if (options.signal?.aborted === true) {
      this.#stop();
    } else {
      this.#stopWhenEmpty();
    }
    return drain.promise;
  }

  #intake(item: TItem, signal: AbortSignal | undefined): BatchEntry<TItem, TResult> {
    if (this.#state !== 'running') {
      throw new WorkerStoppedError(this.name, 'refused');
    }
    signal?.throwIfAborted();
    return this.#entry(item);
  }

  #entry(item: TItem): BatchEntry<TItem, TResult> {
    return new BatchEntry(item, weightOf(this.#options, item, this.#bounds.capacityWeight));
  }

  /** `false`: the entry may wait for room. */
  #takeRoom(entry: BatchEntry<TItem, TResult>): boolean {
    if (this.#gate.tryTake(entry.weight)) {
      return true;
    }
    if (this.#bounds.overflow === 'reject') {
      throw new QueueFullError(this.name, 'capacity');
    }
    if (this.#gate.waiters.size >= this.#bounds.maxWaiters) {
      throw new QueueFullError(this.name, 'maxWaiters');
    }
    return false;
  }

  #accept(entry: BatchEntry<TItem, TResult>): void {
    this.#counters.accepted++;
    this.#queue.push(entry);
    this.#schedule();
  }

  #admitted(entry: BatchEntry<TItem, TResult>): void {
    if (entry.accept !== undefined) {
      // The signal of enqueue ends with the wait; that of submit stays until a handler has the item.
      this.#unwatch(entry);
      entry.accept();
      entry.accept = undefined;
      entry.reject = undefined;
    }
    this.#accept(entry);
  }

  #calledOff(entry: BatchEntry<TItem, TResult>, reason: unknown): void {
    entry.signal = undefined;
    if (entry.list === this.#gate.waiters) {
      this.#counters.refused++;
      this.#gate.leave(entry);
    } else {
      this.#counters.withdrawn++;
      this.#queue.remove(entry);
      this.#gate.release(1, entry.weight);
    }
    entry.reject?.(reason);
    this.#stopWhenEmpty();
  }

  #watch(entry: BatchEntry<TItem, TResult>, signal: AbortSignal | undefined): void {
    if (signal !== undefined) {
      entry.signal = signal;
      this.#aborts.watch(signal, entry);
    }
  }

  #unwatch(entry: BatchEntry<TItem, TResult>): void {
    if (entry.signal !== undefined) {
      this.#aborts.unwatch(entry.signal, entry);
      entry.signal = undefined;
    }
  }

  /** Batches start in a microtask, so that what is enqueued in one go shares them. */
  #schedule(): void {
    if (this.#pumpScheduled || this.#queue.size === 0 || this.#running.size >= this.#bounds.concurrency) {
      return;
    }
    this.#pumpScheduled = true;
    if (this.#slice.exhausted()) {
      this.#slice.giveWay(this.#pump);
    } else {
      queueMicrotask(this.#pump);
    }
  }

  #startBatches(): void {
    this.#pumpScheduled = false;
    while (this.#state !== 'stopped' && this.#queue.size > 0 && this.#running.size < this.#bounds.concurrency) {
      void this.#run(this.#takeBatch());
    }
  }

  #takeBatch(): RunningBatch<TItem, TResult> {
    const limit = this.#sizer.limit();
    const entries: BatchEntry<TItem, TResult>[] = [];
    let weight = 0;
    for (let first = this.#queue.head; first !== undefined && entries.length < limit; first = this.#queue.head) {
      if (entries.length > 0 && weight + first.weight > this.#bounds.maxBatchWeight) {
        break;
      }
      this.#queue.remove(first);
      this.#unwatch(first);
      entries.push(first);
      weight += first.weight;
    }
    this.#counters.batches++;
    const batch = new RunningBatch(`${this.#idPrefix}-${this.#counters.batches}`, entries, weight);
    this.#running.add(batch);
    this.#inFlight += entries.length;
    return batch;
  }

  /** Never rejects: the handler's errors are results, and settling runs no foreign code that could throw. */
  async #run(batch: RunningBatch<TItem, TResult>): Promise<void> {
    const startedMs = this.#clock.monotonic();
    const result = await this.#handle(batch);
    if (batch.abandoned) {
      return;
    }
    this.#sizer.record({
      items: batch.entries.length,
      durationMs: this.#clock.monotonic() - startedMs,
      succeeded: result.status !== 'failed',
    });
    const unheard = settleEntries(batch.entries, result, this.#counters);
    this.#running.delete(batch);
    this.#inFlight -= batch.entries.length;
    this.#gate.release(batch.entries.length, batch.weight);
    // The books are closed before foreign code runs: it may enqueue or drain.
    reportUnheard(unheard, this.#options, this.#logger);
    this.#schedule();
    this.#stopWhenEmpty();
  }

  async #handle(batch: RunningBatch<TItem, TResult>): Promise<BatchResult<TResult>> {
    const { signal } = batch.controller;
    const call = (items: readonly TItem[], attempt: number): Promise<BatchResult<TResult>> =>
      callHandler(this.#options, items, { signal, batchId: batch.id, attempt });
    const items = (): TItem[] => batch.entries.map((entry) => entry.item);
    const result = await call(items(), 1);
    return result.status === 'failed' && result.isolable && this.#bounds.isolateFailures && batch.entries.length > 1
      ? isolateFailures(items(), result.error, call, signal)
      : result;
  }

  #refuseWaiters(): void {
    for (let waiter = this.#gate.waiters.shift(); waiter !== undefined; waiter = this.#gate.waiters.shift()) {
      this.#unwatch(waiter);
      this.#counters.refused++;
      waiter.reject?.(new WorkerStoppedError(this.name, 'refused'));
    }
  }

  #stopWhenEmpty(): void {
    if (this.#isEmpty()) {
      this.#quiet.reach();
      if (this.#state === 'draining') {
        this.#stop();
      }
    }
  }

  #isEmpty(): boolean {
    return this.#queue.size === 0 && this.#running.size === 0;
  }

  /** Ends the drain, whether everything is done or the time is used up. */
  #stop(): void {
    if (this.#state === 'stopped') {
      return;
    }
    this.#state = 'stopped';
    this.#slice.close();
    const leftover: TItem[] = [];
    const leave = (entry: BatchEntry<TItem, TResult>, item: 'interrupted' | 'unstarted'): void => {
      leftover.push(entry.item);
      entry.reject?.(new WorkerStoppedError(this.name, item));
      this.#gate.release(1, entry.weight);
    };
    for (const batch of this.#running) {
      batch.abandoned = true;
      batch.entries.forEach((entry) => leave(entry, 'interrupted'));
    }
    const interrupted = leftover.length;
    for (let entry = this.#queue.shift(); entry !== undefined; entry = this.#queue.shift()) {
      this.#unwatch(entry);
      leave(entry, 'unstarted');
    }
    this.#counters.leftover += leftover.length;
    this.#inFlight = 0;
    this.#quiet.reach();
    this.#drain?.finish(this.#counters, leftover, interrupted);
    // Last, because listeners of the handlers run inside abort().
    for (const batch of this.#running) {
      batch.controller.abort(new WorkerStoppedError(this.name, 'interrupted'));
    }
    this.#running.clear();
  }
}
