import { Logger } from '@nestjs/common';
import { checkOptions, type Clock } from '@smartpulse/resilience';
import { HandlerContractError, QueueFullError, WorkerStoppedError } from '../batch.errors.js';
import { withDefaults } from '../configuration/with-defaults.js';
import { AwaitedInstant } from '../drain/awaited-instant.js';
import { Drain } from '../drain/drain.js';
import { checkDrainOptions, MAX_TIMER_MS } from '../drain/drain-options.js';
import type { DrainOptions, DrainReport, LifecycleState } from '../drain/drain-report.js';
import { WorkSlice } from '../pacing/work-slice.js';
import { isHeldUntil, isPromiseLike, isRetryLater } from './handler-answer.js';
import { type KeyLane, type LaneItem, ReadyLanes } from './key-lane.js';
import { KeyedIntake } from './keyed-intake.js';
import type { PartitionedQueueStats } from './partitioned-queue-stats.js';
import {
  type HeldUntil,
  type KeyedItem,
  PARTITIONED_QUEUE_DEFAULTS,
  type PartitionedItemContext,
  type PartitionedQueueDefaults,
  type PartitionedQueueOptions,
  partitionedQueueSchema,
} from './partitioned-queue.options.js';
import { startCounting } from './queue-counters.js';

/** Lanes whose first items are held until the same promise settles, as where one receipt is for many: they need one callback. */
interface HeldGroup<TKey, TItem> {
  readonly until: HeldUntil['heldUntil'];
  readonly lanes: KeyLane<TKey, TItem>[];
}

/** Items between two looks at the clock: a look takes about as long as a small handler. */
const ITEMS_PER_LOOK = 8;

/**
 * Runs items of different keys side by side and items of one key one after the other, in the order in which they were accepted.
 *
 * It promises: never two handlers with one key; never more than `concurrency` in all; the order of a key holds over retries too; what is
 * accepted is handled to its end exactly once, or stands in the report of {@link drain}; a key without items costs nothing; a key with many
 * items gives way to the others after `quantum` of them. Accepting and starting an item cost the same whatever the number of keys and items.
 *
 * @example
 * ```ts
 * const queue = new AutoConcurrentPartitionedQueue<string, Order>(
 *   { name: 'orders', concurrency: 32, handler: (order) => book(order), onError: (error, order) => report(order.id, error) },
 *   { clock },
 * );
 * await queue.enqueue(order.customerId, order);
 * await queue.drain({ timeoutMs: 5_000 });
 * ```
 */
export class AutoConcurrentPartitionedQueue<TKey, TItem> {
  readonly #options: PartitionedQueueOptions<TKey, TItem>;
  readonly #bounds: PartitionedQueueDefaults;
  readonly #clock: Clock;
  readonly #logger = new Logger(AutoConcurrentPartitionedQueue.name);
  readonly #intake: KeyedIntake<TKey, TItem>;
  readonly #ready = new ReadyLanes<TKey, TItem>();
  readonly #counters = startCounting();
  readonly #slice: WorkSlice;
  readonly #hardStop = new AbortController();
  /** The controller makes sure each time that it is one: for each item that would be a good part of what the queue costs. */
  readonly #stopSignal = this.#hardStop.signal;
  readonly #accepted = Promise.resolve();
  readonly #idle = new AwaitedInstant();
  readonly #quiet = new AwaitedInstant();
  readonly #pump = (): void => this.#startRunners();
  #state: LifecycleState = 'running';
  #paused = false;
  #pumpScheduled = false;
  #runners = 0;
  #inFlight = 0;
  #held = 0;
  #lastHeld: HeldGroup<TKey, TItem> | undefined;
  #retrying = 0;
  #drain: Drain<KeyedItem<TKey, TItem>> | undefined;

  /**
   * @param defaults what holds where `options` says nothing.
   * @throws ConfigurationError that lists everything that is wrong with the options.
   */
  constructor(
    options: PartitionedQueueOptions<TKey, TItem>,
    time: { readonly clock: Clock },
    defaults: PartitionedQueueDefaults = PARTITIONED_QUEUE_DEFAULTS,
  ) {
    checkOptions('AutoConcurrentPartitionedQueue', partitionedQueueSchema, options);
    this.#options = options;
    this.#bounds = withDefaults(defaults, options);
    this.#clock = time.clock;
    this.#slice = new WorkSlice(time.clock, ITEMS_PER_LOOK);
    this.#intake = new KeyedIntake(
      this.#bounds.capacity,
      options.maxPerKey ?? Number.POSITIVE_INFINITY,
      this.#counters,
      (lane) => this.#filled(lane),
    );
  }

  /** The name it was given. */
  get name(): string {
    return this.#options.name;
  }

  /** Items accepted and not settled. */
  get size(): number {
    return this.#intake.size;
  }

  /** Whether a handler is free and has nothing to do: what is held waits behind another item of its key, or for its next attempt. */
  get hungry(): boolean {
    return (
      this.#state === 'running' && !this.#paused && this.#runners < this.#bounds.concurrency && this.#ready.isEmpty
    );
  }

  /** Figures of this instant. */
  get stats(): PartitionedQueueStats {
    return {
      name: this.name,
      state: this.#state,
      paused: this.#paused,
      size: this.#intake.size,
      inFlight: this.#inFlight + this.#held,
      retrying: this.#retrying,
      keys: this.#intake.keys,
      waiting: this.#intake.waiting,
      capacity: this.#bounds.capacity,
      listenedSignals: this.#intake.listenedSignals,
      ...this.#counters,
    };
  }

  /** Accepts the item if there is room and nobody waits for it; answers whether it did. `false` also when it drains or has stopped. */
  tryEnqueue(key: TKey, item: TItem): boolean {
    if (this.#state === 'running' && this.#intake.offer(key, item) === 'taken') {
      return true;
    }
    this.#counters.refused++;
    return false;
  }

  /**
   * Resolves when the item is accepted: at once, or when there is room for its key and in all. Failures go to `onError`.
   *
   * @throws WorkerStoppedError while it drains and after; QueueFullError by overflow `reject` or `maxWaiters`; the reason of `signal`, which
   *   takes the item back as long as it waits for room.
   */
  enqueue(key: TKey, item: TItem, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { signal } = options;
    if (this.#state !== 'running') {
      return this.#refuse(new WorkerStoppedError(this.name, 'refused'));
    }
    if (signal?.aborted === true) {
      return this.#refuse(signal.reason);
    }
    const room = this.#intake.offer(key, item);
    if (room === 'taken') {
      return this.#accepted;
    }
    if (this.#bounds.overflow === 'reject') {
      return this.#refuse(new QueueFullError(this.name, room));
    }
    if (this.#intake.waiting >= this.#bounds.maxWaiters) {
      return this.#refuse(new QueueFullError(this.name, 'maxWaiters'));
    }
    return this.#intake.wait(key, item, signal);
  }

  /** Starts no more items until {@link resume}; those in a handler go on, and room is given as before. */
  pause(): void {
    this.#paused = true;
    this.#stopWhenDone();
  }

  /** Goes on after {@link pause}. Does nothing once a drain has begun: what a paused queue holds is left over. */
  resume(): void {
    if (this.#state === 'running') {
      this.#paused = false;
      this.#schedule();
    }
  }

  /** Resolves as soon as there is an instant without accepted items: now, if there are none. */
  idle(): Promise<void> {
    return this.size === 0 ? this.#accepted : this.#idle.next();
  }

  /**
   * Resolves as soon as no handler runs and none could start: now, if that is so. Items that wait for their next attempt, or that a paused queue
   * holds, do not count. It goes on accepting.
   */
  quiet(): Promise<void> {
    return this.#hasEnded() ? this.#accepted : this.#quiet.next();
  }

  /**
   * Stops: takes nothing new, refuses callers that wait for room, handles what was accepted, and answers what it did. May be called as often as
   * you like; the first call decides how long it takes.
   *
   * A key whose first item waits for its next attempt is left over as it is, with the items behind it; so is everything that a paused
   * queue holds. When the time is used up, handlers are told by their signal and what is not finished is left over.
   */
  drain(options: DrainOptions = {}): Promise<DrainReport<KeyedItem<TKey, TItem>>> {
    if (this.#drain !== undefined) {
      return this.#drain.promise;
    }
    try {
      checkDrainOptions(`AutoConcurrentPartitionedQueue "${this.name}"`, options);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#state = 'draining';
    const drain = new Drain<KeyedItem<TKey, TItem>>(this.#clock, options, this.#counters, () => this.#stop());
    this.#drain = drain;
    this.#intake.refuseWaiters(() => new WorkerStoppedError(this.name, 'refused'));
    for (const lane of this.#intake.lanes()) {
      if (lane.state === 'retrying') {
        this.#endRetry(lane);
        lane.state = 'parked';
      }
    }
    if (options.signal?.aborted === true) {
      this.#stop();
    } else {
      this.#stopWhenDone();
    }
    return drain.promise;
  }

  #refuse(reason: unknown): Promise<never> {
    this.#counters.refused++;
    return Promise.reject(reason);
  }

  #filled(lane: KeyLane<TKey, TItem>): void {
    if (lane.state === 'vacant') {
      this.#ready.push(lane);
      this.#schedule();
    }
  }

  /** Runners start in a microtask: a handler never runs inside the call of its producer. */
  #schedule(): void {
    if (this.#pumpScheduled || this.#runners >= this.#bounds.concurrency || this.#paused || this.#ready.isEmpty) {
      return;
    }
    this.#pumpScheduled = true;
    if (this.#slice.exhausted()) {
      this.#slice.giveWay(this.#pump);
    } else {
      queueMicrotask(this.#pump);
    }
  }

  #startRunners(): void {
    this.#pumpScheduled = false;
    while (this.#mayStart() && !this.#ready.isEmpty && this.#runners < this.#bounds.concurrency) {
      this.#runners++;
      void this.#run();
    }
    this.#askForMore();
  }

  #mayStart(): boolean {
    return this.#state !== 'stopped' && !this.#paused;
  }

  /**
   * Takes ready keys until there are none. Between finding none and ending there is no await, so a key that becomes ready meanwhile finds either
   * this runner or a free place for another. Never rejects: errors of handlers are results.
   */
  async #run(): Promise<void> {
    while (this.#mayStart()) {
      const lane = this.#ready.shift();
      if (lane === undefined) {
        break;
      }
      lane.state = 'running';
      for (let served = 0; lane.state === 'running'; served++) {
        if (this.#slice.exhausted()) {
          await new Promise<void>((resolve) => this.#slice.giveWay(resolve));
        }
        if (this.#state === 'stopped') {
          break;
        }
        if (this.#paused || (served >= this.#bounds.quantum && !this.#ready.isEmpty)) {
          this.#ready.push(lane);
          break;
        }
        const node = lane.head;
        if (node === undefined) {
          break;
        }
        node.attempts++;
        this.#inFlight++;
        try {
          const answer = this.#options.handler(node.item, this.#contextOf(lane, node));
          // Waiting for what is there already would cost a turn of the microtask queue for each item.
          const retry = isPromiseLike(answer) ? await answer : answer;
          this.#handled(lane, node, retry);
        } catch (error) {
          this.#failed(lane, node, error);
        }
      }
    }
    this.#runners--;
    this.#stopWhenDone();
    this.#askForMore();
  }

  #askForMore(): void {
    if (this.#options.onHungry !== undefined && this.hungry) {
      this.#options.onHungry();
    }
  }

  #contextOf({ key }: KeyLane<TKey, TItem>, { attempts }: LaneItem<TItem>): PartitionedItemContext<TKey> {
    return { key, attempt: attempts, signal: this.#stopSignal };
  }

  #handled(lane: KeyLane<TKey, TItem>, node: LaneItem<TItem>, retry: unknown): void {
    if (this.#state === 'stopped') {
      return;
    }
    if (retry === undefined) {
      this.#counters.completed++;
      this.#settle(lane);
    } else if (isRetryLater(retry)) {
      this.#inFlight--;
      this.#counters.retries++;
      this.#retryLater(lane, retry.retryAfterMs);
    } else if (isHeldUntil(retry)) {
      this.#hold(lane, retry);
    } else {
      const problem = `it answered something else than nothing, { retryAfterMs } with 0 to ${MAX_TIMER_MS} milliseconds or { heldUntil }, a promise.`;
      this.#failed(lane, node, new HandlerContractError(this.name, problem));
    }
  }

  #failed(lane: KeyLane<TKey, TItem>, node: LaneItem<TItem>, error: unknown): void {
    if (this.#state === 'stopped') {
      return;
    }
    this.#counters.failed++;
    this.#settle(lane);
    // The books are closed before foreign code runs: it may enqueue or drain.
    try {
      this.#options.onError(error, node.item, this.#contextOf(lane, node));
    } catch (thrown) {
      this.#logger.error(`"${this.name}": onError threw. ${String(thrown)}`);
    }
  }

  #hold(lane: KeyLane<TKey, TItem>, { heldUntil }: HeldUntil): void {
    lane.state = 'held';
    this.#inFlight--;
    this.#held++;
    if (this.#lastHeld?.until === heldUntil) {
      this.#lastHeld.lanes.push(lane);
      return;
    }
    const group: HeldGroup<TKey, TItem> = { until: heldUntil, lanes: [lane] };
    this.#lastHeld = group;
    heldUntil.then(
      (answer) => this.#letGo(group, (lane, node) => this.#handled(lane, node, answer)),
      (error: unknown) => this.#letGo(group, (lane, node) => this.#failed(lane, node, error)),
    );
  }

  /** @param end what the handler's own end would have been. */
  #letGo(group: HeldGroup<TKey, TItem>, end: (lane: KeyLane<TKey, TItem>, node: LaneItem<TItem>) => void): void {
    if (this.#lastHeld === group) {
      this.#lastHeld = undefined;
    }
    for (const lane of group.lanes) {
      if (this.#state === 'stopped') {
        return;
      }
      const { head } = lane;
      if (head === undefined) {
        continue;
      }
      this.#held--;
      this.#inFlight++;
      lane.state = 'running';
      end(lane, head);
      if (lane.state === 'running') {
        this.#ready.push(lane);
      }
    }
    this.#schedule();
    this.#stopWhenDone();
    this.#askForMore();
  }

  #settle(lane: KeyLane<TKey, TItem>): void {
    this.#inFlight--;
    this.#intake.settleHead(lane);
    if (this.size === 0) {
      this.#idle.reach();
    }
  }

  #retryLater(lane: KeyLane<TKey, TItem>, retryAfterMs: number): void {
    if (this.#state === 'draining') {
      lane.state = 'parked';
      return;
    }
    lane.state = 'retrying';
    this.#retrying++;
    lane.retryTimer = this.#clock.setTimer(retryAfterMs, () => {
      this.#endRetry(lane);
      this.#ready.push(lane);
      this.#schedule();
    });
  }

  #endRetry(lane: KeyLane<TKey, TItem>): void {
    lane.retryTimer?.cancel();
    lane.retryTimer = undefined;
    this.#retrying--;
  }

  #stopWhenDone(): void {
    if (this.#hasEnded()) {
      this.#quiet.reach();
      if (this.#state === 'draining') {
        this.#stop();
      }
    }
  }

  #hasEnded(): boolean {
    return this.#state === 'stopped' || (this.#runners + this.#held === 0 && (this.#paused || this.#ready.isEmpty));
  }

  /** Ends the drain, whether everything is done or the time is used up. */
  #stop(): void {
    if (this.#state === 'stopped') {
      return;
    }
    this.#state = 'stopped';
    this.#slice.close();
    const leftover: KeyedItem<TKey, TItem>[] = [];
    for (const { key, head } of this.#intake.lanes()) {
      for (let node = head; node !== undefined; node = node.next) {
        leftover.push({ key, item: node.item });
      }
    }
    const interrupted = this.#inFlight + this.#held;
    this.#inFlight = 0;
    this.#held = 0;
    this.#counters.leftover += leftover.length;
    this.#ready.clear();
    this.#intake.clear();
    this.#idle.reach();
    this.#quiet.reach();
    this.#drain?.finish(this.#counters, leftover, interrupted);
    // Last, because listeners of the handlers run inside abort().
    if (interrupted > 0) {
      this.#hardStop.abort(new WorkerStoppedError(this.name, 'interrupted'));
    }
  }
}
