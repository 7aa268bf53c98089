import { type Change } from '../tracking/change.js';
import { type TableTracking } from '../tracking/table-tracking.js';

/** A moment that a transaction goes on seeing: rows by the sequence of commits, change tracking by its counters and logs of then. */
export interface Snapshot {
  readonly sequence: bigint;
  /** The change tracking counter of each database. */
  readonly versions: ReadonlyMap<object, bigint>;
  /** Clean-up replaces a log, so the one of then is still whole. */
  readonly logs: ReadonlyMap<TableTracking, readonly Change[]>;
}
