import { Logger } from '@nestjs/common';
import type { Clock } from '@smartpulse/resilience';
import { PortContractError } from '../cdc.errors.js';
import type { RowChange } from '../change/row-change.js';
import type { AcceptOutcome, FeedEvent, HandOff } from '../sink/change.sink.js';
import type { TrackerTally } from './tracker-tally.js';
import type { ResolvedTrackerOptions } from './tracker.options.js';
import { RowIsolation } from './row-isolation.js';
import { untilAborted } from './until-aborted.js';

/** Circumstances that stay the same for one holder of the lease. */
export interface Tenure {
  readonly source: string;
  readonly fence: bigint;
  /** Aborts when the lease is lost, or when the tracker may wait no longer. */
  readonly signal: AbortSignal;
}

/** The way from a tracker into its sink: one hand-off at a time, poison told and counted, silence measured. */
export class Outlet {
  readonly #logger = new Logger(Outlet.name);
  readonly #options: ResolvedTrackerOptions;
  readonly #tenure: Tenure;
  readonly #tally: TrackerTally;
  readonly #clock: Clock;
  readonly #isolation: RowIsolation;
  #toldAtMs: number;

  constructor(options: ResolvedTrackerOptions, tenure: Tenure, tally: TrackerTally, clock: Clock) {
    this.#options = options;
    this.#tenure = tenure;
    this.#tally = tally;
    this.#clock = clock;
    this.#isolation = new RowIsolation(options.maxAttempts, tenure.signal);
    this.#toldAtMs = clock.monotonic();
  }

  /** Milliseconds until the sink has heard nothing for a whole heartbeat interval; 0 or less = it has. */
  get heartbeatDueInMs(): number {
    return this.#toldAtMs + this.#options.heartbeatIntervalMs - this.#clock.monotonic();
  }

  /** Resolves when the sink has all of them, poison excepted; answers how many were accepted. */
  async accept(changes: readonly RowChange[], epoch: bigint): Promise<number> {
    const outcomes = await this.#isolation.accept(changes, (some) => this.#offer(some, epoch));
    let accepted = 0;
    for (const [index, outcome] of outcomes.entries()) {
      const change = changes[index];
      if (outcome.status === 'accepted' || change === undefined) {
        accepted += 1;
      } else {
        await this.#poisoned(change, outcome.error);
      }
    }
    this.#toldAtMs = this.#clock.monotonic();
    return accepted;
  }

  async #offer(changes: readonly RowChange[], epoch: bigint): Promise<readonly AcceptOutcome[]> {
    const { sink, table } = this.#options;
    const { signal } = this.#tenure;
    signal.throwIfAborted();
    const outcomes = await untilAborted(sink.accept(changes, this.#handOff(epoch)), signal);
    if (outcomes.length !== changes.length) {
      throw new PortContractError(
        'ChangeSink',
        table,
        `answered ${outcomes.length} outcomes for ${changes.length} changes`,
      );
    }
    return outcomes;
  }

  async announce(event: FeedEvent, epoch: bigint): Promise<void> {
    const { signal } = this.#tenure;
    signal.throwIfAborted();
    await untilAborted(this.#options.sink.announce(event, this.#handOff(epoch)), signal);
    this.#toldAtMs = this.#clock.monotonic();
  }

  async #poisoned(change: RowChange, error: Error): Promise<void> {
    const { table, consumer, onPoison } = this.#options;
    if (onPoison === undefined) {
      // The error's message may quote the row, and a key may be a secret: neither is logged.
      const key = Object.keys(change.primaryKey).join(', ');
      this.#logger.error(
        `A change of "${table}" at version ${change.version.version} can never be accepted for "${consumer}" (${error.name}) and is passed. Which row it is of, by ${key}, is told to onPoison, which is not set.`,
      );
    } else {
      await untilAborted(Promise.resolve(onPoison(change, error, consumer)), this.#tenure.signal);
    }
    this.#tally.poison += 1;
  }

  #handOff(epoch: bigint): HandOff {
    const { source, fence, signal } = this.#tenure;
    return { source, table: this.#options.table, epoch, fence, signal };
  }
}
