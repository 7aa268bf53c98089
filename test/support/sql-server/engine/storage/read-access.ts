import { type LockMode } from './locks.js';
import { type Transaction } from './transaction.js';

/** How a statement reads a table: what it sees, and what it locks. */
export type ReadAccess =
  /** NOLOCK and READ UNCOMMITTED: also what others have not committed. */
  | { readonly kind: 'dirty'; readonly transaction: Transaction }
  /** The images as of a commit, and the transaction's own; waits for nobody. */
  | { readonly kind: 'asOf'; readonly transaction: Transaction; readonly sequence: bigint }
  | {
      readonly kind: 'locking';
      readonly transaction: Transaction;
      readonly mode: Extract<LockMode, 'S' | 'U' | 'X'>;
      /** Until the transaction ends, not only while the row is read. */
      readonly hold: boolean;
      /** No row may appear either: the whole table is held. */
      readonly range: boolean;
      /** READPAST. */
      readonly skipLocked: boolean;
    };
