import type { RowChange } from '../change/row-change.js';

/** What became of one change: `poison` can never be accepted, and was or will be dead-lettered by policy. */
export type AcceptOutcome = { readonly status: 'accepted' } | { readonly status: 'poison'; readonly error: Error };

/** Circumstances of a hand-off. */
export interface HandOff {
  readonly source: string;
  readonly table: string;
  readonly epoch: bigint;
  /** The lease's fencing token: rises with every holder. */
  readonly fence: bigint;
  readonly signal: AbortSignal;
}

/** Why a table is read anew. */
export type ResyncReason =
  | 'firstStart'
  | 'requested'
  | 'newSinkInstance'
  | 'checkpointExpired'
  | 'tableTruncated'
  | 'tableReplaced'
  | 'schemaChanged'
  | 'epochChanged'
  | 'sourceRolledBack';

/** A position that could not be continued, and how far back changes were kept when that was seen: below it they are gone. */
export interface LostPosition {
  readonly position: bigint;
  readonly minValidVersion: bigint;
}

/**
 * What happens to the feed itself, in order with the changes.
 *
 * A reader that keeps the table's rows sweeps when a resync is complete: gone is every row that is stamped at or below the resync's
 * `fromVersion` (in its epoch, or in an earlier one) and was not offered since `resyncStarted`. "At or below", because truncate moves no
 * version; for the same reason hand-offs of a lower fence than that of `resyncStarted` no longer count. `resyncStarted` may come again before
 * its `resyncCompleted`, from the same holder or another: the last one counts.
 */
export type FeedEvent =
  | {
      readonly kind: 'resyncStarted';
      readonly reason: ResyncReason;
      readonly fromVersion: bigint;
      /** Left out where there was none, and where another holder goes on with the resync. */
      readonly lost?: LostPosition | undefined;
    }
  /** Every row was offered, and every change up to `version` (at or above the resync's `fromVersion`). */
  | { readonly kind: 'resyncCompleted'; readonly reason: ResyncReason; readonly version: bigint }
  /** The feed is complete up to `version`; sent when nothing else was. */
  | { readonly kind: 'heartbeat'; readonly version: bigint }
  /** A new holder begins to number its hand-offs. */
  | { readonly kind: 'started'; readonly version: bigint | null };

/**
 * Where changes go, as a port.
 *
 * An implementer guarantees: a resolved `accept` means that every change with outcome `accepted` is stored where the sink
 * promises (a broker acknowledged it), so the tracker may move its checkpoint; a rejected `accept` means that some may not be,
 * and the same changes will be offered again. Accepting twice is harmless.
 */
export abstract class ChangeSink {
  /**
   * Names the store behind the sink: constant for a durable broker, random per in-process one. The checkpoint keeps it; a
   * different one at start means that what was accepted is gone, so the table is read anew.
   */
  abstract readonly instance: string;

  /** Aligned with `changes`. */
  abstract accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]>;

  /** Tells consumers of the feed; rejects like `accept`. */
  abstract announce(event: FeedEvent, handOff: HandOff): Promise<void>;
}
