import { Logger } from '@nestjs/common';
import { backoffDelayMs, type Clock, type Random, SmartPulseError } from '@smartpulse/resilience';
import { TrackerNotLeadingError } from '../cdc.errors.js';
import type { CheckpointStore } from '../checkpoint/checkpoint.store.js';
import type { Lease, Leadership } from '../leadership/leadership.js';
import type { PollSignal } from '../poll/poll-signal.js';
import type { ResyncReason } from '../sink/change.sink.js';
import type { ChangeSource, FailureKind } from '../source/change.source.js';
import { type Look, SharedLook } from '../source/shared-look.js';
import { Deferred } from './deferred.js';
import { FailureStreak } from './failure-streak.js';
import { hearNudges } from './hear-nudges.js';
import { LeaseDesk } from './lease-desk.js';
import { PauseGate } from './pause-gate.js';
import { PollPace } from './poll-pace.js';
import { progressOf } from './progress.js';
import { RetentionWatch } from './retention-watch.js';
import { Rest } from './rest.js';
import { retryDelayMs } from './retry-delay.js';
import { FencedSignal, type StepResult, TableFeed } from './table-feed.js';
import { type ErrorTally, TrackerTally } from './tracker-tally.js';
import type { ResolvedTrackerOptions } from './tracker.options.js';
import type { TrackerSnapshot, TrackerState } from './tracker.state.js';
import { untilAborted } from './until-aborted.js';

/** What a tracker works with. */
export interface TrackerParts {
  readonly source: ChangeSource;
  readonly checkpoints: CheckpointStore;
  readonly leadership: Leadership;
  readonly pollSignal: PollSignal;
  readonly clock: Clock;
  readonly random: Random;
}

/** Is told about every poll: where metrics come from. */
export type PollListener = (poll: { readonly phase: 'scan' | 'page'; readonly durationMs: number }) => void;

/** One run of a tracker, from `start` to `stop`. */
interface Run {
  /** Aborts when the tracker is to stop: sleeps end, the running page is finished. */
  readonly stopping: AbortController;
  /** Aborts when it may not even wait for the running page. */
  readonly cutting: AbortController;
  /** The last page failed while it was to be finished. */
  left: boolean;
  /** `start` was called while it was ending. */
  again: boolean;
  /** The table is to be read anew, and no step has begun that yet. */
  anew: boolean;
  ended: Promise<void>;
}

/**
 * Follows one table for one consumer: every committed change reaches the sink at least once, or a resync event says why not; the
 * checkpoint moves only after the sink has accepted. Of all replicas the one that holds the lease reads. Errors never end it: they are
 * waited out with growing delays and stand in {@link state}.
 *
 * Made by `CdcRegistry.track`.
 */
export class ChangeTracker {
  readonly #logger: Logger;
  readonly #options: ResolvedTrackerOptions;
  readonly #parts: TrackerParts;
  readonly #look: SharedLook;
  readonly #pace: PollPace;
  readonly #tally = new TrackerTally();
  readonly #gate = new PauseGate();
  readonly #waits: Rest;
  readonly #desk: LeaseDesk;
  readonly #retention: RetentionWatch;
  #onPoll: PollListener | undefined;
  #run: Run | undefined;
  #feed: TableFeed | undefined;
  #lastFeed: TableFeed | undefined;
  /** Whose age the position has, as far as this replica may know: none while another one leads. */
  #aged: TableFeed | undefined;
  #idle: Extract<TrackerState, { kind: 'stopped' | 'starting' | 'waitingForLease' }> = { kind: 'stopped' };
  #failure: Extract<TrackerState, { kind: 'failing' }> | undefined;
  readonly #streak = new FailureStreak();
  #lastError: Error | undefined;
  #resync: Deferred | undefined;
  /** A look that another tracker began while this one waited. */
  #looked: Promise<Look> | undefined;

  /** @param look what it shares with the other trackers of its registry. */
  constructor(options: ResolvedTrackerOptions, parts: TrackerParts, look = new SharedLook(parts.source, parts.clock)) {
    this.#options = options;
    this.#parts = parts;
    this.#look = look;
    this.#pace = new PollPace(options, parts.random);
    this.#logger = new Logger(`${ChangeTracker.name} ${options.consumer}:${options.table}`);
    this.#waits = new Rest(parts.clock);
    this.#retention = new RetentionWatch(this.#logger);
    this.#desk = new LeaseDesk(
      parts.leadership,
      `cdc:${options.consumer}:${parts.source.name}:${options.table}`,
      this.#logger,
    );
  }

  /** The consumer whose position this is. */
  get consumer(): string {
    return this.#options.consumer;
  }

  /** The table as configured, `schema.name`. */
  get table(): string {
    return this.#options.table;
  }

  /** What it is doing now. */
  get state(): TrackerState {
    if (this.#failure !== undefined) {
      return this.#failure;
    }
    if (this.#gate.standing) {
      return { kind: 'paused' };
    }
    const feed = this.#feed;
    if (feed === undefined) {
      return this.#idle;
    }
    const phase = feed.checkpoint?.phase;
    if (phase === undefined) {
      return { kind: 'starting' };
    }
    return phase.kind === 'streaming'
      ? { kind: 'streaming', version: phase.version }
      : {
          kind: 'bootstrapping',
          stage: feed.stage,
          reason: phase.reason,
          fromVersion: phase.fromVersion,
          rows: feed.scannedRows,
        };
  }

  /**
   * Begins to follow the table; does nothing when it does already, and waits for the end of a stop that is under way. A nudge of the
   * table's `PollSignal` makes it poll at once.
   */
  start(): void {
    if (this.#run !== undefined) {
      this.#run.again = this.#run.stopping.signal.aborted;
      return;
    }
    const [stopping, cutting] = [new AbortController(), new AbortController()];
    const run: Run = {
      stopping,
      cutting,
      left: false,
      again: false,
      anew: this.#options.bootstrap === 'always',
      ended: Promise.resolve(),
    };
    this.#run = run;
    this.#gate.resume();
    this.#idle = { kind: 'starting' };
    this.#aged = undefined;
    run.ended = this.#live(run).catch((error: unknown) =>
      this.#logger.error(
        `It stands still until it is started again: ${error instanceof Error ? error.stack : typeof error}`,
      ),
    );
  }

  /**
   * Ends: the running page is finished and checkpointed, then the lease is given back. No timer stays behind.
   *
   * @param signal when it aborts, the running page is left where it is and not checkpointed: it comes again after the next start.
   * @returns `true` when the running page was finished, `false` when it was left or failed.
   */
  async stop(signal?: AbortSignal): Promise<boolean> {
    const run = this.#run;
    if (run === undefined) {
      return true;
    }
    const cut = (): void =>
      run.cutting.abort(new Error('The tracker is stopped and may not wait for the running page.'));
    signal?.addEventListener('abort', cut, { once: true });
    if (signal?.aborted === true) {
      cut();
    }
    run.again = false;
    run.stopping.abort(new Error('The tracker is stopped.'));
    await run.ended;
    signal?.removeEventListener('abort', cut);
    return !run.left && !run.cutting.signal.aborted;
  }

  /**
   * A poll follows at once, or right after the running one. Calls coalesce; without the lease it does nothing. Of the waits after an error it
   * ends that for somebody to mend something; the others give a server time.
   */
  pollNow(): void {
    this.nudge();
    this.#waits.wake();
  }

  /** As {@link pollNow}, by whoever only knows that there may be something new: it ends no wait after an error. */
  nudge(): void {
    this.#tally.nudges += 1;
    this.#pace.nudge();
  }

  /** Finishes the running page and stands still; a lease that is held is kept, so no other replica goes on instead. */
  pause(): void {
    this.#gate.pause();
    this.#pace.nudge();
  }

  /** Ends a {@link pause}. */
  resume(): void {
    this.#gate.resume();
  }

  /**
   * Reads the table anew: announces the resync, hands off every row, then everything that changed meanwhile.
   *
   * @returns when the resync is complete. Calls while one is wanted or runs join it.
   * @throws TrackerNotLeadingError when another replica holds the lease, or when it is lost before the end.
   */
  async resync(reason: ResyncReason = 'requested'): Promise<void> {
    const feed = this.#feed;
    if (feed === undefined) {
      throw new TrackerNotLeadingError(this.table, this.consumer);
    }
    if (this.#resync === undefined) {
      this.#resync = new Deferred();
      feed.want(reason);
      this.#pace.nudge();
      this.#waits.wake();
    }
    await this.#resync.promise;
  }

  /** The tracker in numbers. */
  snapshot(): TrackerSnapshot {
    const { source } = this.#parts;
    const caughtUpAgoMs = this.#aged?.upToDateAgoMs ?? null;
    return {
      consumer: this.consumer,
      source: source.name,
      table: this.table,
      phase: this.state.kind,
      leading: this.#feed !== undefined,
      ...progressOf(this.#feed ?? this.#lastFeed),
      caughtUpAgoMs,
      tieDepth: this.#tally.tieDepth,
      consecutiveErrors: this.#streak.attempts,
      lastError: this.#lastError?.name ?? null,
      failure: this.#streak.kind,
      retentionUsed: this.#retentionUsed(caughtUpAgoMs),
      counts: this.#tally.counts(),
    };
  }

  /** Failed attempts by what failed, for metrics. */
  get errors(): readonly ErrorTally[] {
    return this.#tally.errorTallies;
  }

  /** Tells `listener` about every poll from now on; one listener, the latest. */
  observePolls(listener: PollListener): void {
    this.#onPoll = listener;
  }

  async #live(run: Run): Promise<void> {
    const { signal } = run.stopping;
    const unsubscribe = hearNudges(this.#parts.pollSignal, this.table, () => this.nudge(), this.#logger);
    try {
      await this.#begin(run);
      for (let attempts = 0; !signal.aborted;) {
        if (this.#gate.paused) {
          await this.#gate.wait(signal);
          continue;
        }
        const lease = await this.#acquire(run);
        if (lease === undefined) {
          if (this.#failure === undefined) {
            attempts += 1;
            this.#aged = undefined;
            this.#idle = { kind: 'waitingForLease', attempts };
            await this.#waits.nap(backoffDelayMs(this.#options.leaseRetry, attempts, this.#parts.random), signal);
          }
          continue;
        }
        attempts = 0;
        await this.#lead(lease, run);
        if (!signal.aborted) {
          this.#idle = { kind: 'waitingForLease', attempts };
          await this.#waits.nap(backoffDelayMs(this.#options.leaseRetry, 1, this.#parts.random), signal);
        }
      }
    } finally {
      unsubscribe();
      this.#failure = undefined;
      this.#streak.end();
      this.#idle = { kind: 'stopped' };
      this.#run = undefined;
      if (run.again) {
        this.start();
      }
    }
  }

  /** Waits for what must be there before the first poll. */
  async #begin(run: Run): Promise<void> {
    const { startAfter } = this.#options;
    const { signal } = run.stopping;
    if (startAfter === undefined) {
      return;
    }
    while (!signal.aborted) {
      try {
        this.#failure = undefined;
        await untilAborted(startAfter(), signal);
        this.#recovered();
        return;
      } catch (error) {
        if (!signal.aborted) {
          await this.#fail(error, signal);
        }
      }
    }
  }

  /** The lease, or nothing when another holds it, the attempt failed (and was waited out), or the tracker stops. */
  async #acquire({ stopping: { signal } }: Run): Promise<Lease | undefined> {
    try {
      const lease = await this.#desk.acquire(signal);
      this.#recovered();
      return lease;
    } catch (error) {
      await this.#fail(error, signal);
      return undefined;
    }
  }

  /** Reads as the holder of `lease` until it is lost, fenced off, or the tracker stops. */
  async #lead(lease: Lease, run: Run): Promise<void> {
    const { source, checkpoints, clock } = this.#parts;
    const work = AbortSignal.any([lease.signal, run.cutting.signal]);
    const rest = AbortSignal.any([lease.signal, run.stopping.signal]);
    const tenure = { source: source.name, fence: lease.fence, signal: work };
    const feed = new TableFeed(this.#options, { source, look: this.#look, checkpoints, clock }, tenure, this.#tally);
    if (run.anew) {
      feed.want('firstStart');
    }
    this.#feed = feed;
    this.#aged = feed;
    // One from before may be older than the position.
    this.#looked = undefined;
    try {
      while (!rest.aborted) {
        await (this.#gate.paused ? this.#gate.wait(rest) : this.#turn(feed, run, rest));
      }
    } catch (error) {
      if (!(error instanceof FencedSignal)) {
        throw error;
      }
      this.#logger.warn(`A newer holder has saved a checkpoint: fence ${lease.fence} gives up.`);
    } finally {
      this.#feed = undefined;
      this.#lastFeed = feed;
      this.#failure = undefined;
      this.#resync?.reject(new TrackerNotLeadingError(this.table, this.consumer));
      this.#resync = undefined;
      await this.#desk.release(lease);
    }
  }

  /** One page or chunk, and the wait after it. */
  async #turn(feed: TableFeed, run: Run, rest: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    let step: StepResult;
    try {
      const looked = this.#pace.begin() ? undefined : this.#looked;
      this.#looked = undefined;
      const beganAtMs = clock.monotonic();
      const phase = feed.checkpoint?.phase.kind === 'bootstrap' ? 'scan' : 'page';
      step = await feed.step(looked);
      run.anew = false;
      this.#onPoll?.({ phase, durationMs: clock.monotonic() - beganAtMs });
    } catch (error) {
      if (error instanceof FencedSignal) {
        throw error;
      }
      feed.forget();
      if (rest.aborted) {
        run.left = run.stopping.signal.aborted;
        return;
      }
      await this.#fail(error, rest);
      return;
    }
    this.#recovered();
    if (this.#resync !== undefined && !feed.resyncing) {
      this.#resync.resolve();
      this.#resync = undefined;
    }
    if (step.moved) {
      this.#pace.moved();
    }
    if (step.result === 'behind') {
      this.#retention.see(this.snapshot().retentionUsed);
      // Lets others run between two pages, and the lease's loss be seen.
      await this.#waits.nap(0, rest);
      return;
    }
    this.#caughtUp(step.moved);
    await this.#rest(feed, rest);
  }

  #caughtUp(moved: boolean): void {
    this.#retention.see(0);
    if (!moved) {
      this.#tally.idlePolls += 1;
      this.#pace.idled();
    }
  }

  /**
   * Waits for the next poll, by a look that it shares with other trackers: where that finds nothing to do, it was the poll, and the wait
   * begins again.
   */
  async #rest(feed: TableFeed, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const { table } = this;
    const waitMs = (): number => Math.max(0, Math.min(this.#pace.nextDelayMs(), feed.heartbeatDueInMs));
    await this.#pace.wait(signal, (wake) =>
      this.#look.ride({
        table,
        waitMs: waitMs(),
        take: (seen) => {
          const beganAtMs = clock.monotonic();
          if (!feed.restsAt(seen)) {
            return null;
          }
          this.#caughtUp(false);
          this.#onPoll?.({ phase: 'page', durationMs: clock.monotonic() - beganAtMs });
          return waitMs();
        },
        over: (state) => {
          this.#looked = state;
          wake();
        },
      }),
    );
  }

  #retentionUsed(caughtUpAgoMs: number | null): number | null {
    const retentionMs = this.#aged?.retentionMs ?? null;
    return caughtUpAgoMs === null || retentionMs === null || retentionMs <= 0 ? null : caughtUpAgoMs / retentionMs;
  }

  async #fail(error: unknown, signal: AbortSignal): Promise<void> {
    const failure =
      error instanceof Error ? error : new Error('Something that is no Error was thrown.', { cause: error });
    this.#lastError = failure;
    const before = this.#streak.kind;
    const kind = this.#streak.add(this.#kindOf(failure));
    const { attempts } = this.#streak;
    // Somebody is told when there comes to be something for somebody to do, and not only at the next power of two.
    const turned = kind === 'configuration' && before !== kind;
    this.#tally.failed(failure, kind);
    if (kind === 'timeout') {
      this.#feed?.askForLess();
    }
    const retryInMs = retryDelayMs(kind, attempts, this.#options.errorBackoff, this.#parts.random);
    this.#failure = { kind: 'failing', error: failure, attempts, retryInMs };
    // The first of a row and then ever more seldom: an outage must not fill the log.
    if ((attempts & (attempts - 1)) === 0 || turned) {
      // Errors of this project quote nobody's data and say what to do; the texts of others may hold anything.
      const why = failure instanceof SmartPulseError ? `${failure.name}: ${failure.message}` : `${failure.name}.`;
      this.#logger[kind === 'configuration' ? 'error' : 'warn'](
        `Attempt ${attempts} failed, the next one follows in ${Math.round(retryInMs)} ms. ${why}`,
      );
    }
    this.#retention.see(this.snapshot().retentionUsed);
    await this.#waits[kind === 'configuration' ? 'napUntilWoken' : 'nap'](retryInMs, signal);
  }

  /** A source that fails at telling failures apart knows nothing of this one. */
  #kindOf(failure: Error): FailureKind {
    try {
      return this.#parts.source.failureOf(failure);
    } catch (error) {
      this.#logger.error(`The source cannot tell what failed (${error instanceof Error ? error.name : typeof error}).`);
      return 'unrecognised';
    }
  }

  #recovered(): void {
    this.#failure = undefined;
    this.#streak.end();
  }
}
