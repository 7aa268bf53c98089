import type { ResyncReason } from '../sink/change.sink.js';
import type { FailureKind } from '../source/change.source.js';

/** What a tracker is doing. */
export type TrackerState =
  /** Not started, or stopped. */
  | { readonly kind: 'stopped' }
  /** `startAfter` has not resolved yet, or the position is being loaded. */
  | { readonly kind: 'starting' }
  /** Another replica reads the table. */
  | { readonly kind: 'waitingForLease'; readonly attempts: number }
  /** The table is read whole: first its rows (`scanning`), then what changed meanwhile (`catchingUp`). */
  | {
      readonly kind: 'bootstrapping';
      readonly stage: 'scanning' | 'catchingUp';
      readonly reason: ResyncReason;
      readonly fromVersion: bigint;
      /** Rows that this replica offered of it so far: since it began, or since this replica took it over. */
      readonly rows: number;
    }
  /** Changes are followed. */
  | { readonly kind: 'streaming'; readonly version: bigint }
  /** The last attempt failed; the next one follows after `retryInMs`. It never gives up. */
  | { readonly kind: 'failing'; readonly error: Error; readonly attempts: number; readonly retryInMs: number }
  /** `pause()` was called; the lease is kept if it was held. */
  | { readonly kind: 'paused' };

/** Sums since the tracker was created. */
export interface TrackerCounts {
  /** Pages and chunks that were handed off and checkpointed. */
  readonly pages: number;
  /** Changes accepted while following. */
  readonly changes: number;
  /** Rows accepted while bootstrapping. */
  readonly snapshotRows: number;
  /** Changes that the sink can never accept. */
  readonly poison: number;
  /** Polls that found nothing. */
  readonly idlePolls: number;
  /** Nudges that arrived. */
  readonly nudges: number;
  readonly heartbeats: number;
  /** Failed attempts. */
  readonly errors: number;
  /** Saves that a newer holder's fence refused. */
  readonly fenced: number;
  /** Resyncs begun, by reason. */
  readonly resyncs: Readonly<Partial<Record<ResyncReason, number>>>;
}

/** A tracker in numbers, for health, metrics and tests. */
export interface TrackerSnapshot {
  readonly consumer: string;
  readonly source: string;
  readonly table: string;
  readonly phase: TrackerState['kind'];
  /** Whether this replica holds the table's lease. */
  readonly leading: boolean;
  /** `null` until a checkpoint is known. */
  readonly epoch: bigint | null;
  /** Everything at or below is handed off and checkpointed; `null` until known and during a bootstrap. */
  readonly version: bigint | null;
  /** The database's version as last seen. */
  readonly currentVersion: bigint | null;
  /** Versions between the two; versions are shared by all tables, so it counts commits, not rows. */
  readonly behind: bigint | null;
  /**
   * Milliseconds since the position was the database's version last, also under a holder before this one; since the scan's beginning during
   * a bootstrap. At most some minutes too many right after a takeover. `null` = not known, or another replica leads.
   */
  readonly caughtUpAgoMs: number | null;
  /** Rows of the version that the last page was cut in that are handed off; 0 = between versions. */
  readonly tieDepth: number;
  /** Failed attempts in a row. */
  readonly consecutiveErrors: number;
  /** The class name of the last error, never its message. */
  readonly lastError: string | null;
  /** What the failing attempt calls for; `null` when the last one succeeded. */
  readonly failure: FailureKind | null;
  /** Share of the time that the database keeps changes since this tracker was up to date; at 1 the table is read anew. `null` = unknown. */
  readonly retentionUsed: number | null;
  readonly counts: TrackerCounts;
}
