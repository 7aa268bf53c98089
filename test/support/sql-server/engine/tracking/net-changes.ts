import { type SqlValue } from '../../seam.js';
import { type Change, type ChangeOperation } from './change.js';
import { columnMask } from './column-mask.js';

/** What CHANGETABLE(CHANGES …) tells of one key. */
export interface NetChange {
  readonly version: bigint;
  /** Of the last insert after the reader's version, if there was one and the row is there. */
  readonly creationVersion: bigint | null;
  readonly operation: ChangeOperation;
  readonly columns: Uint8Array | null;
  readonly context: Uint8Array | null;
  readonly keyValues: readonly SqlValue[];
}

/**
 * Folds the changes above `after` and at or below `upTo` into one for each key, in the order of versions and one at a time: a reader of a page
 * stops after it. What happened is told relative to `after`: a row that came after it is an insert, whatever became of it since; a row
 * that was there, was deleted and came again is an update.
 */
export function* netChanges(log: readonly Change[], after: bigint, upTo: bigint): Generator<NetChange> {
  for (let at = firstAbove(log, after); at < log.length; at++) {
    const change = log[at] as Change;
    if (change.version > upTo) {
      return;
    }
    if (change.next === undefined || change.next.version > upTo) {
      yield fold(change, after);
    }
  }
}

/** @param last of its key that the reader sees. */
function fold(last: Change, after: bigint): NetChange {
  let first = last;
  let created = last.operation === 'I' ? last : undefined;
  const columns: (readonly number[] | null)[] = [last.columns];
  for (let at = last.previous; at !== undefined && at.version > after; at = at.previous) {
    first = at;
    created ??= at.operation === 'I' ? at : undefined;
    columns.push(at.columns);
  }
  const operation = last.operation === 'D' ? 'D' : first.operation === 'I' ? 'I' : 'U';
  return {
    version: last.version,
    creationVersion: operation === 'D' ? null : (created?.version ?? null),
    operation,
    columns: operation === 'U' ? unionMask(columns) : null,
    context: last.context,
    keyValues: last.keyValues,
  };
}

/** One change that does not tell its columns makes all of them unknown. */
function unionMask(told: readonly (readonly number[] | null)[]): Uint8Array | null {
  const ids = new Set<number>();
  for (const columns of told) {
    if (columns === null) {
      return null;
    }
    columns.forEach((id) => ids.add(id));
  }
  return columnMask([...ids]);
}

/** The index of the first change above a version, by halving. */
function firstAbove(log: readonly Change[], version: bigint): number {
  let [low, high] = [0, log.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((log[middle] as Change).version > version) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
