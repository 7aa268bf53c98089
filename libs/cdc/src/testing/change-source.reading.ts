import assert from 'node:assert/strict';
import type { RowChange } from '../change/row-change.js';
import type {
  ChangeCursor,
  ChangePage,
  ChangeSource,
  ChunkRequest,
  TableChunk,
  TableState,
} from '../source/change.source.js';

const NEVER = new AbortController().signal;

/** A request of the suite for a chunk. */
export function chunk(table: string, afterKey: string | null, limit: number): ChunkRequest {
  return { table, afterKey, limit, signal: NEVER };
}

/** One page, asked for as the suite does. */
export function readPage(
  source: ChangeSource,
  table: string,
  after: bigint,
  cursor: ChangeCursor | null,
  limit: number,
): Promise<ChangePage> {
  return source.readPage({ table, after, cursor, limit, signal: NEVER });
}

/** The state of a table that is tracked. */
export async function stateOf(source: ChangeSource, table: string): Promise<TableState> {
  const state = (await source.state([table])).tables.get(table);
  assert.ok(state !== undefined && state !== null, `${table} has a state`);
  return state;
}

/** All pages after a position, read as a tracker reads them; checks what every page promises. */
export async function everything(
  source: ChangeSource,
  table: string,
  after: bigint,
  limit: number,
  between: (changes: readonly RowChange[]) => Promise<void> = () => Promise.resolve(),
): Promise<{ changes: RowChange[]; upperVersion: bigint; pages: number }> {
  const changes: RowChange[] = [];
  let position: { version: bigint; cursor: ChangeCursor | null } = { version: after, cursor: null };
  for (let pages = 1; pages <= 10_000; pages++) {
    const page = await readPage(source, table, position.version, position.cursor, limit);
    assert.ok(page.changes.length <= limit);
    assert.equal(page.cursors.length, page.changes.length);
    for (const [index, change] of page.changes.entries()) {
      assert.equal(change.table, table);
      assert.equal(change.source, source.name);
      assert.equal(change.version.version, page.cursors[index]?.version);
      assert.ok(change.version.version > position.version && change.version.version <= page.upperVersion);
      const previous = page.changes[index - 1];
      assert.ok(previous === undefined || previous.version.version <= change.version.version);
    }
    changes.push(...page.changes);
    await between(page.changes);
    const last = page.cursors.at(-1);
    if (last === undefined || page.changes.length < limit) {
      if (page.upperVersion === (await source.state([])).currentVersion) {
        return { changes, upperVersion: page.upperVersion, pages };
      }
      position = { version: page.upperVersion, cursor: null };
    } else {
      const complete = page.cursors.filter(({ version }) => version < last.version).at(-1)?.version;
      const before =
        position.cursor !== null && position.cursor.version < last.version ? position.cursor.version : position.version;
      position = { version: complete ?? before, cursor: last };
    }
  }
  throw new Error('The source never came to the end.');
}

/** All rows of a table, chunk by chunk. */
export async function scan(source: ChangeSource, table: string, limit: number): Promise<TableChunk['rows']> {
  const rows: TableChunk['rows'][number][] = [];
  for (let afterKey: string | null = null; ;) {
    const { rows: read, lastKey } = await source.readChunk(chunk(table, afterKey, limit));
    assert.ok(read.length <= limit);
    rows.push(...read);
    if (lastKey === null || read.length < limit) {
      return rows;
    }
    afterKey = lastKey;
  }
}
