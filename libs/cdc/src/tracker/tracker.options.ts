import type { BackoffOptions } from '@smartpulse/resilience';
import type { RowChange } from '../change/row-change.js';
import type { ChangeSink } from '../sink/change.sink.js';

/**
 * When a table is read whole.
 * `whenNeeded`: at the first start and whenever the position cannot be continued (default).
 * `initial`: at the first start and at a new sink instance; a position lost later makes the tracker fail visibly until `resync()` is called.
 * `always`: as `whenNeeded`, and at every start of the tracker.
 * `never`: begins at the current version; a lost position is announced as a resync without rows.
 */
export type BootstrapMode = 'whenNeeded' | 'initial' | 'always' | 'never';

/** What every tracker of an app can be tuned by. */
export interface TrackerDefaults {
  /** Most changes that are read and handed off at once; 1 to 10 000. Default 1 000. */
  readonly pageSize: number;
  /** Most rows that a bootstrap reads and hands off at once; 1 to 10 000. Default 1 000. */
  readonly chunkSize: number;
  /** Shortest wait between two polls that were not nudged, in milliseconds. Default 250. */
  readonly minIntervalMs: number;
  /** Longest wait between two polls, in milliseconds; an idle tracker's wait grows to it by half each time. Default 30 000. */
  readonly maxIntervalMs: number;
  /** A quiet feed tells its sink at least this often how far it is complete, in milliseconds. Default 30 000. */
  readonly heartbeatIntervalMs: number;
  /** When the table is read whole. Default `whenNeeded`. */
  readonly bootstrap: BootstrapMode;
  /** Waits between attempts after an error; they never end. Default 100 ms, ×2, at most 30 000 ms, equal jitter. */
  readonly errorBackoff: BackoffOptions;
  /** Waits between attempts to get the lease while another replica holds it. Default 1 000 ms, ×1.5, at most 10 000 ms, equal jitter. */
  readonly leaseRetry: BackoffOptions;
}

/** The defaults of {@link TrackerDefaults}. */
export const TRACKER_DEFAULTS: TrackerDefaults = Object.freeze({
  pageSize: 1_000,
  chunkSize: 1_000,
  minIntervalMs: 250,
  maxIntervalMs: 30_000,
  heartbeatIntervalMs: 30_000,
  bootstrap: 'whenNeeded',
  errorBackoff: Object.freeze({ initialMs: 100, multiplier: 2, maxMs: 30_000, jitter: 'equal' }),
  leaseRetry: Object.freeze({ initialMs: 1_000, multiplier: 1.5, maxMs: 10_000, jitter: 'equal' }),
});

/** Is told of a change that can never be accepted: source, table, key and version stand in it. A rejection offers the page again. */
export type PoisonHandler = (change: RowChange, error: Error, consumer: string) => Promise<void> | void;

/** What becomes of changes that cannot be handed off. */
export interface PoisonTuning {
  /**
   * Called for every change that the sink calls poison or that was given up, and awaited before the checkpoint moves past it: keep it as a
   * dead letter. Default: it is counted and logged without its values.
   */
  readonly onPoison?: PoisonHandler | undefined;
  /**
   * Failed hand-offs of a page in a row after which the change that fails is looked for, by halves, and given up as poison where the sink
   * accepts others of its page; 1 to 1 000. Default: never; the page is offered again until it is accepted.
   */
  readonly maxAttempts?: number | undefined;
}

/** {@link TrackerDefaults}, each of them optional, and {@link PoisonTuning}. */
export type TrackerTuning = PoisonTuning & { readonly [K in keyof TrackerDefaults]?: TrackerDefaults[K] | undefined };

/** One tracker: which table, for whom, to where. */
export interface TrackerOptions extends TrackerTuning {
  /** Names the position: stable over restarts and deployments, letters, digits, `.`, `_` and `-`. Another name starts anew. */
  readonly consumer: string;
  /** `schema.name`. */
  readonly table: string;
  /** Where the changes go. */
  readonly sink: ChangeSink;
  /** Awaited before the first poll: subscriptions must exist before changes are published. A rejection is retried. */
  readonly startAfter?: (() => Promise<void>) | undefined;
}

/** Options with every default filled in. */
export type ResolvedTrackerOptions = TrackerDefaults &
  Pick<TrackerOptions, 'consumer' | 'table' | 'sink' | 'startAfter' | keyof PoisonTuning>;
