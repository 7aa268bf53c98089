import type { ChangeCursor, ChangePage } from '../source/change.source.js';

/** How far a reader is: everything at or below `version` and, inside the next version, everything up to `cursor`. */
export interface Position {
  readonly version: bigint;
  readonly cursor: ChangeCursor | null;
}

/**
 * The position after a page. A short page reached the snapshot's end: everything up to `upperVersion` is handed off, also when no row
 * of this table was in it, which keeps the position of a quiet table above the oldest valid version. A full page may have cut a version
 * in two: only versions strictly below its last row's are complete, and the cursor marks the place inside the last one. Taking the last
 * row's version as complete would skip the rest of that transaction for ever.
 */
export function positionAfter(position: Position, page: ChangePage, limit: number): Position {
  const last = page.cursors.at(-1);
  if (last === undefined || page.changes.length < limit) {
    return { version: page.upperVersion, cursor: null };
  }
  return { version: completeBelow(last.version, position, page), cursor: last };
}

/** The greatest version strictly below `version` that the reader has seen, the old cursor's included. */
function completeBelow(version: bigint, position: Position, page: ChangePage): bigint {
  for (let index = page.cursors.length - 1; index >= 0; index--) {
    const seen = page.cursors[index]?.version;
    if (seen !== undefined && seen < version) {
      return seen;
    }
  }
  const before = position.cursor?.version;
  return before !== undefined && before < version ? before : position.version;
}

/** Rows of the last row's version that are handed off after this page; 0 when the page did not cut a version. */
export function tieDepthAfter(before: number, position: Position, page: ChangePage, next: Position): number {
  if (next.cursor === null) {
    return 0;
  }
  let rows = position.cursor?.version === next.cursor.version ? before : 0;
  for (
    let index = page.cursors.length - 1;
    index >= 0 && page.cursors[index]?.version === next.cursor.version;
    index--
  ) {
    rows += 1;
  }
  return rows;
}
