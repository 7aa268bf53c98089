import type { Checkpoint } from '../checkpoint/checkpoint.store.js';
import type { ResyncReason } from '../sink/change.sink.js';
import type { ChangePage, TableState } from '../source/change.source.js';
import type { Position } from './keyset.js';

/** What a look at the database, or a page, says about a table. */
export interface Seen {
  readonly epoch: bigint;
  readonly currentVersion: bigint;
  readonly table: TableState;
}

/** A page is judged like a look: clean-up, truncate and restore may come between the two. */
export function seenIn(page: ChangePage): Seen {
  return { epoch: page.epoch, currentVersion: page.upperVersion, table: page.state };
}

/** What the reader has now; a checkpoint of other circumstances cannot be continued. */
export interface Circumstances {
  readonly schemaHash: string;
  readonly sinkInstance: string;
}

/**
 * Why a position cannot be continued, or `null` when it can. The order goes from what makes every stamp incomparable to what only
 * concerns this table, and from the more exact sentence to the vaguer one: a truncated table also looks expired.
 */
export function judge(
  checkpoint: Checkpoint,
  position: Position,
  seen: Seen,
  circumstances: Circumstances,
): ResyncReason | null {
  if (checkpoint.sinkInstance !== circumstances.sinkInstance) {
    return 'newSinkInstance';
  }
  if (checkpoint.epoch !== seen.epoch) {
    return 'epochChanged';
  }
  if (seen.currentVersion < (position.cursor?.version ?? position.version)) {
    return 'sourceRolledBack';
  }
  if (checkpoint.objectId !== seen.table.objectId) {
    return 'tableReplaced';
  }
  if (checkpoint.beginVersion !== seen.table.beginVersion) {
    return 'tableTruncated';
  }
  if (seen.table.minValidVersion > position.version) {
    return 'checkpointExpired';
  }
  return checkpoint.schemaHash === circumstances.schemaHash ? null : 'schemaChanged';
}

/** Where a stored checkpoint lets its reader go on. */
export function positionOf(checkpoint: Checkpoint): Position {
  const { phase } = checkpoint;
  return phase.kind === 'streaming'
    ? { version: phase.version, cursor: phase.cursor }
    : { version: phase.fromVersion, cursor: null };
}
