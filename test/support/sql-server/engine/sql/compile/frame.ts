import { type SqlValue } from '../../../seam.js';
import { type PlacedRow } from '../../storage/table.js';
import { type Row } from '../../storage/row-slot.js';
import { type Transaction } from '../../storage/transaction.js';
import { type ValueType } from '../../values/value-type.js';
import { type SessionState } from '../session-state.js';

/** One run of a statement. */
export interface Run {
  readonly session: SessionState;
  readonly transaction: Transaction;
  /** By lower-case name. */
  readonly variables: Map<string, SqlValue>;
  /** The moment that every time function of the statement tells. */
  readonly nowMs: number;
  /** The commit that statement-level snapshots see. */
  readonly sequence: bigint;
  /** Of CHANGE_TRACKING_CONTEXT. */
  readonly context: Uint8Array | null;
}

/** The rows that an expression can name: one of each source of its query, and those of the queries around it. */
export interface Frame {
  /** `null` = no partner in an outer join. */
  readonly rows: (Row | null)[];
  /** Where the rows are kept, of sources that are tables. */
  readonly places: (PlacedRow | undefined)[];
  readonly parent: Frame | undefined;
  readonly run: Run;
  /** What parts of the plan remember for as long as the frame is used: a derived table, a hash of a join. */
  readonly memory: Map<object, unknown>;
  /** Values of a group: what is grouped by, then aggregates. */
  group?: readonly SqlValue[];
}

/** An expression, ready to be evaluated. */
export interface Compiled {
  readonly type: ValueType;
  readonly evaluate: (frame: Frame) => SqlValue;
}

/** A condition, ready to be tested; `null` = unknown. */
export type Test = (frame: Frame) => boolean | null;

export function newFrame(run: Run, sources: number, parent?: Frame): Frame {
  return {
    rows: Array.from<Row | null>({ length: sources }).fill(null),
    places: Array.from<PlacedRow | undefined>({ length: sources }),
    parent,
    run,
    memory: new Map(),
  };
}
