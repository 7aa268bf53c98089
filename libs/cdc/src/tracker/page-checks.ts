import { PortContractError } from '../cdc.errors.js';
import type { RowChange } from '../change/row-change.js';
import type { ChangePage, PageRequest, TableChunk } from '../source/change.source.js';

/**
 * A page that is out of order, or holds what was handed off already, would move a checkpoint wrongly: it is refused whole, and the
 * tracker fails visibly instead of advancing past it.
 *
 * @throws PortContractError
 */
export function checkPage(page: ChangePage, request: PageRequest): void {
  const refuse = (problem: string): never => {
    throw new PortContractError('ChangeSource', request.table, problem);
  };
  if (page.changes.length > request.limit) {
    refuse(`answered ${page.changes.length} changes where at most ${request.limit} were asked for`);
  }
  if (page.cursors.length !== page.changes.length) {
    refuse(`answered ${page.cursors.length} cursors for ${page.changes.length} changes`);
  }
  let before = request.cursor?.version ?? request.after + 1n;
  const keys = new Set<string>();
  for (const [index, { version, key }] of page.cursors.entries()) {
    if (version === request.cursor?.version && key === request.cursor.key) {
      refuse(`answered the change again that its cursor stands on, at version ${version}`);
    }
    if (keys.size === keys.add(key).size) {
      refuse(`answered one primary key twice, the second time at version ${version}`);
    }
    if (version <= request.after || version < before) {
      refuse(`answered version ${version} after version ${before}`);
    }
    if (version > page.upperVersion || page.changes[index]?.version.version !== version) {
      refuse(`answered a change whose version is not the one of its cursor, or above the page's ${page.upperVersion}`);
    }
    before = version;
  }
}

/** A chunk's rows as changes, stamped with the version that was read before the scan: each reflects it, or a later one. */
export function snapshotRows(
  source: string,
  table: string,
  epoch: bigint,
  fromVersion: bigint,
  chunk: TableChunk,
): readonly RowChange[] {
  return chunk.rows.map(({ primaryKey, row }) => ({
    source,
    table,
    operation: 'snapshot',
    primaryKey,
    version: { epoch, version: fromVersion },
    changedColumns: null,
    row,
    origin: null,
    committedAtMs: null,
  }));
}
