import { type RetryLater, WorkerStoppedError } from '@smartpulse/batch';
import type { Clock, Timer } from '@smartpulse/resilience';

/** What a {@link KeyedBatches} is made of. */
export interface KeyedBatchesOptions<TItem> {
  /** Names it in errors. */
  readonly name: string;
  readonly clock: Clock;
  /** Batches that run at the same time. */
  readonly concurrency: number;
  readonly maxMessages: number;
  /** Of all items of a batch; one heavier item runs alone. */
  readonly maxBytes: number;
  /** How long the first item of a batch waits for others, milliseconds. */
  readonly maxWaitMs: number;
  readonly bytesOf: (item: TItem) => number;
  /** Whether the item has to have a batch for itself. */
  readonly runsAlone: (item: TItem) => boolean;
  /** Handles a batch; answers for each item, in its place, whether and when it has to be handled again. */
  readonly run: (items: readonly TItem[], signal: AbortSignal) => Promise<readonly (RetryLater | void)[]>;
  /** Told of each item whose `run` threw. */
  readonly onError: (error: unknown, item: TItem) => void;
  /** Told whenever one more batch could run and nothing is there for it. */
  readonly onHungry: () => void;
}

/** How a drain may end before everything is done. */
export interface BatchDrainOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Entry<TItem> {
  readonly item: TItem;
  /** Since when it could run: its batch waits for others no longer than `maxWaitMs` from here. */
  sinceMs: number;
}

interface Lane<TItem> {
  readonly key: string;
  readonly entries: Entry<TItem>[];
  state: 'ready' | 'running' | 'retrying';
  timer: Timer | undefined;
}

/** The entries of one lane in a batch, always its first ones. */
interface Share<TItem> {
  readonly lane: Lane<TItem>;
  readonly count: number;
}

interface Batch<TItem> {
  readonly items: TItem[];
  readonly shares: Share<TItem>[];
}

/**
 * Gathers items into batches, several of one key in the order of their arrival. No key is in two batches at once, nor in one while its first
 * items wait to be handled again.
 */
export class KeyedBatches<TItem> {
  readonly #options: KeyedBatchesOptions<TItem>;
  readonly #lanes = new Map<string, Lane<TItem>>();
  /** Lanes whose items may run, in the order in which they became so. */
  readonly #ready = new Set<Lane<TItem>>();
  readonly #hardStop = new AbortController();
  #readyCount = 0;
  #readyBytes = 0;
  #running = 0;
  #runningItems = 0;
  #paused = false;
  #draining = false;
  #pumpScheduled = false;
  #timer: Timer | undefined;
  #drained: Promise<{ readonly interrupted: number }> | undefined;
  #quiet: () => void = () => undefined;

  constructor(options: KeyedBatchesOptions<TItem>) {
    this.#options = options;
  }

  /** Whether one more batch could run and nothing is there for it: what is held waits behind its key, or to be handled again. */
  get hungry(): boolean {
    return !this.#paused && !this.#draining && this.#running < this.#options.concurrency && this.#ready.size === 0;
  }

  /** Accepts an item, unless it drains. The number of items is bounded by whoever brings them. */
  tryEnqueue(key: string, item: TItem): boolean {
    if (this.#draining) {
      return false;
    }
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, entries: [], state: 'ready', timer: undefined };
      this.#lanes.set(key, lane);
      this.#ready.add(lane);
    }
    lane.entries.push({ item, sinceMs: this.#options.clock.monotonic() });
    if (lane.state === 'ready') {
      this.#readyCount++;
      this.#readyBytes += this.#options.bytesOf(item);
      // A deadline that is set holds for what comes later, too.
      if (this.#timer === undefined || this.#isFull()) {
        this.#schedule();
      }
    }
    return true;
  }

  /** Begins no more batches until {@link resume}; those that run go on. */
  pause(): void {
    this.#paused = true;
    this.#cancelTimer();
  }

  /** Goes on after {@link pause}, unless it drains. */
  resume(): void {
    if (!this.#draining) {
      this.#paused = false;
      this.#schedule();
    }
  }

  /** Begins nothing more, ends waits, waits for batches that run; answers how many of their items were left when the time was used up. */
  drain(options: BatchDrainOptions): Promise<{ readonly interrupted: number }> {
    this.#drained ??= this.#drain(options);
    return this.#drained;
  }

  async #drain({ timeoutMs, signal }: BatchDrainOptions): Promise<{ readonly interrupted: number }> {
    this.#draining = true;
    this.pause();
    for (const { timer } of this.#lanes.values()) {
      timer?.cancel();
    }
    if (this.#running > 0 && signal?.aborted !== true) {
      await this.#quietWithin(timeoutMs, signal);
    }
    const interrupted = this.#runningItems;
    this.#lanes.clear();
    this.#ready.clear();
    if (interrupted > 0) {
      this.#hardStop.abort(new WorkerStoppedError(this.#options.name, 'interrupted'));
    }
    return { interrupted };
  }

  #quietWithin(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#options.clock.setTimer(timeoutMs, end);
      signal?.addEventListener('abort', end, { once: true });
      this.#quiet = end;
    });
  }

  /** Batches begin in a microtask: never inside the call that brings an item, and items brought in one turn stay together. */
  #schedule(): void {
    if (!this.#pumpScheduled && this.#mayBegin()) {
      this.#pumpScheduled = true;
      queueMicrotask(() => {
        this.#pumpScheduled = false;
        this.#pump();
      });
    }
  }

  #mayBegin(): boolean {
    return !this.#paused && this.#running < this.#options.concurrency && this.#ready.size > 0;
  }

  #pump(): void {
    this.#cancelTimer();
    while (this.#mayBegin()) {
      const waitMs = this.#isFull() ? 0 : this.#untilDueMs();
      if (waitMs > 0) {
        this.#timer = this.#options.clock.setTimer(waitMs, () => {
          this.#timer = undefined;
          this.#pump();
        });
        return;
      }
      void this.#run(this.#gather());
    }
    this.#askForMore();
  }

  #askForMore(): void {
    if (this.hungry) {
      this.#options.onHungry();
    }
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #isFull(): boolean {
    return this.#readyCount >= this.#options.maxMessages || this.#readyBytes >= this.#options.maxBytes;
  }

  /** From the first item that could run, whatever came later. Not full means fewer lanes to look at than a batch has items. */
  #untilDueMs(): number {
    const { clock, maxWaitMs, runsAlone } = this.#options;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const { entries } of this.#ready) {
      const [first] = entries;
      if (first !== undefined) {
        sinceMs = runsAlone(first.item) ? Number.NEGATIVE_INFINITY : Math.min(sinceMs, first.sinceMs);
      }
      if (sinceMs === Number.NEGATIVE_INFINITY) {
        break;
      }
    }
    return sinceMs + maxWaitMs - clock.monotonic();
  }

  #gather(): Batch<TItem> {
    const { maxMessages, maxBytes, bytesOf, runsAlone } = this.#options;
    const batch: Batch<TItem> = { items: [], shares: [] };
    let bytes = 0;
    let isComplete = false;
    for (const lane of this.#ready) {
      let count = 0;
      for (const { item } of lane.entries) {
        const alone = runsAlone(item);
        isComplete =
          batch.items.length >= maxMessages || (batch.items.length > 0 && (alone || bytes + bytesOf(item) > maxBytes));
        if (isComplete) {
          break;
        }
        batch.items.push(item);
        bytes += bytesOf(item);
        count++;
        if (alone) {
          isComplete = true;
          break;
        }
      }
      if (count > 0) {
        batch.shares.push({ lane, count });
      }
      if (isComplete) {
        break;
      }
    }
    for (const { lane } of batch.shares) {
      this.#ready.delete(lane);
      this.#discount(lane);
      lane.state = 'running';
    }
    return batch;
  }

  async #run({ items, shares }: Batch<TItem>): Promise<void> {
    this.#running++;
    this.#runningItems += items.length;
    const answers = await this.#answers(items);
    this.#running--;
    this.#runningItems -= items.length;
    let at = 0;
    for (const { lane, count } of shares) {
      this.#conclude(lane, answers.slice(at, at + count));
      at += count;
    }
    if (this.#draining) {
      if (this.#running === 0) {
        this.#quiet();
      }
    } else {
      this.#schedule();
      this.#askForMore();
    }
  }

  async #answers(items: readonly TItem[]): Promise<readonly (RetryLater | void)[]> {
    try {
      return await this.#options.run(items, this.#hardStop.signal);
    } catch (error) {
      items.forEach((item) => this.#options.onError(error, item));
      return items.map(() => undefined);
    }
  }

  /** What has to be handled again stays before what came later, and holds it. */
  #conclude(lane: Lane<TItem>, answers: readonly (RetryLater | void)[]): void {
    if (this.#draining) {
      return;
    }
    const taken = lane.entries.splice(0, answers.length);
    const again = taken.filter((_, index) => answers[index] !== undefined);
    lane.entries.unshift(...again);
    if (again.length === 0) {
      this.#makeReady(lane);
      return;
    }
    lane.state = 'retrying';
    const waitMs = Math.max(...answers.map((answer) => answer?.retryAfterMs ?? 0));
    lane.timer = this.#options.clock.setTimer(waitMs, () => {
      lane.timer = undefined;
      const nowMs = this.#options.clock.monotonic();
      again.forEach((entry) => (entry.sinceMs = nowMs));
      this.#makeReady(lane);
      this.#schedule();
    });
  }

  #makeReady(lane: Lane<TItem>): void {
    if (lane.entries.length === 0) {
      this.#lanes.delete(lane.key);
      return;
    }
    lane.state = 'ready';
    this.#ready.add(lane);
    this.#readyCount += lane.entries.length;
    this.#readyBytes += this.#bytesOf(lane);
  }

  #discount(lane: Lane<TItem>): void {
    this.#readyCount -= lane.entries.length;
    this.#readyBytes -= this.#bytesOf(lane);
  }

  #bytesOf(lane: Lane<TItem>): number {
    return lane.entries.reduce((sum, { item }) => sum + this.#options.bytesOf(item), 0);
  }
}
