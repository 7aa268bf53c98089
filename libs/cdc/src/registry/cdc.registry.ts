import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { DuplicateTrackerError, UnknownTrackerError } from '../cdc.errors.js';
import { trackerOptionsSchema } from '../cdc.options.js';
import { SharedLook } from '../source/shared-look.js';
import { ChangeTracker, type TrackerParts } from '../tracker/change-tracker.js';
import { TRACKER_DEFAULTS, type TrackerOptions, type TrackerTuning } from '../tracker/tracker.options.js';
import { resolveTracker } from '../tracker/resolve-tracker.js';

/**
 * All trackers of an app.
 *
 * @example
 * ```ts
 * const tracker = registry.track({ consumer: 'forecasts', table: 'dbo.forecast', sink });
 * tracker.snapshot().behind; // 0n when every commit is handed off
 * ```
 */
export class CdcRegistry {
  readonly #parts: TrackerParts;
  readonly #look: SharedLook;
  readonly #tuning: TrackerTuning;
  readonly #trackers = new Map<string, ChangeTracker>();
  readonly #listeners = new Set<(tracker: ChangeTracker) => void>();
  #start: ((tracker: ChangeTracker) => void) | undefined;
  #begun = false;

  constructor(parts: TrackerParts, tuning: TrackerTuning = {}) {
    this.#parts = parts;
    this.#look = new SharedLook(parts.source, parts.clock);
    this.#tuning = tuning;
  }

  /**
   * Adds a tracker. It starts when the app has started, or at once when it has already.
   *
   * @throws ConfigurationError naming every option that is wrong.
   * @throws DuplicateTrackerError when the consumer has a tracker for the table.
   */
  track(options: TrackerOptions): ChangeTracker {
    checkOptions('CdcRegistry.track', trackerOptionsSchema, options);
    const { table, consumer } = options;
    const key = keyOf(table, consumer);
    if (this.#trackers.has(key)) {
      throw new DuplicateTrackerError(table, consumer);
    }
    const resolved = resolveTracker(options, this.#tuning, TRACKER_DEFAULTS);
    const { minIntervalMs, maxIntervalMs } = resolved;
    // Only now: the app's tuning may have set the one and the tracker the other.
    if (minIntervalMs > maxIntervalMs) {
      const problem = `expected at most maxIntervalMs, which is ${maxIntervalMs} for consumer "${consumer}" of "${table}"`;
      throw new ConfigurationError('CdcRegistry.track', [{ option: 'minIntervalMs', problem }]);
    }
    const tracker = new ChangeTracker(resolved, this.#parts, this.#look);
    this.#trackers.set(key, tracker);
    this.#listeners.forEach((listener) => listener(tracker));
    this.#start?.(tracker);
    return tracker;
  }

  /** Every tracker of this app, in the order of being added. */
  list(): readonly ChangeTracker[] {
    return [...this.#trackers.values()];
  }

  /** The tracker of a table for a consumer, if there is one. */
  get(table: string, consumer: string): ChangeTracker | undefined {
    return this.#trackers.get(keyOf(table, consumer));
  }

  /** Makes the table's trackers poll at once: all of them, or the one of `consumer`. */
  pollNow(table: string, consumer?: string): void {
    this.#of(table, consumer).forEach((tracker) => tracker.pollNow());
  }

  /** Lets the table's trackers on this replica finish their page and stand still: all of them, or the one of `consumer`. */
  pause(table: string, consumer?: string): void {
    this.#of(table, consumer).forEach((tracker) => tracker.pause());
  }

  /** Ends a {@link pause}. */
  resume(table: string, consumer?: string): void {
    this.#of(table, consumer).forEach((tracker) => tracker.resume());
  }

  /**
   * Reads a table anew for a consumer and resolves when that is complete.
   *
   * @throws UnknownTrackerError when there is no such tracker.
   * @throws TrackerNotLeadingError when another replica holds the lease.
   */
  async resync(table: string, consumer: string): Promise<void> {
    const tracker = this.get(table, consumer);
    if (tracker === undefined) {
      throw new UnknownTrackerError(table, consumer);
    }
    await tracker.resync();
  }

  /**
   * Whether the app has come so far that trackers start; before, every one of them stands still.
   *
   * @internal
   */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * Starts every tracker, and those that are added later at once.
   *
   * @internal called by the module's runner.
   */
  begin(start: (tracker: ChangeTracker) => void): void {
    this.#begun = true;
    this.#start = start;
    this.list().forEach(start);
  }

  /**
   * Calls `listener` for every tracker, present and future; the answer ends it.
   *
   * @internal
   */
  onTracker(listener: (tracker: ChangeTracker) => void): () => void {
    this.#listeners.add(listener);
    this.list().forEach(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Stops every tracker, each after its running page; answers how many pages were left because `signal` aborted.
   *
   * @internal called by the module at shutdown.
   */
  async end(signal: AbortSignal): Promise<number> {
    this.#start = undefined;
    const finished = await Promise.all(this.list().map((tracker) => tracker.stop(signal)));
    return finished.filter((whole) => !whole).length;
  }

  #of(table: string, consumer: string | undefined): readonly ChangeTracker[] {
    return this.list().filter(
      (tracker) => tracker.table === table && (consumer === undefined || tracker.consumer === consumer),
    );
  }
}

function keyOf(table: string, consumer: string): string {
  return `${consumer}:${table}`;
}
