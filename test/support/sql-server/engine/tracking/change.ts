import { type SqlValue } from '../../seam.js';
import { type TableTracking } from './table-tracking.js';

export type ChangeOperation = 'I' | 'U' | 'D';

/** What a statement did to one key of a tracked table. */
export interface ChangeRecord {
  readonly operation: ChangeOperation;
  /** Equal for keys that are equal in their collation. */
  readonly key: string;
  readonly keyValues: readonly SqlValue[];
  /** Ids of the columns that an update set; `null` = not told: an insert, a delete, all columns, or columns are not tracked. */
  readonly columns: readonly number[] | null;
  /** Of the statement: WITH CHANGE_TRACKING_CONTEXT. */
  readonly context: Uint8Array | null;
}

/** A change whose transaction is open. */
export interface PendingChange extends ChangeRecord {
  readonly tracking: TableTracking;
}

/** A committed change. All changes of a transaction have one version. Those of one key are chained, so that folding looks at no others. */
export interface Change extends ChangeRecord {
  readonly version: bigint;
  /** The one before it of the same key, as long as that is in the log. */
  readonly previous: Change | undefined;
  /** The one after it of the same key; a log that went on has more than the reader of a snapshot may see. */
  next: Change | undefined;
}
