import { TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import type { Row, RowChange } from '../../change/row-change.js';
import {
  type ChangeCursor,
  type ChangePage,
  ChangeSource,
  type ChunkRequest,
  type PageRequest,
  type SourceState,
  type TableChunk,
  type TableDescription,
  type TableState,
} from '../../source/change.source.js';
import type { EmbeddedAccess, EmbeddedDatabase } from '../embedded.database.js';
import { integerOf, optionalIntegerOf, optionalTextOf, type SqlRow, type SqlValue, textOf } from '../sql/sql-value.js';
import { keyTextSql, parseKeyText } from '../tracking/key-text.js';
import { quoteName } from '../tracking/table-name.js';
import type { TrackedTable } from '../tracking/table-registry.js';
import { TableReader } from './change-row.js';

/**
 * Changes of an {@link EmbeddedDatabase}. Every answer comes from one snapshot in one turn.
 *
 * @example
 * ```ts
 * const source = new EmbeddedChangeSource(database);
 * const page = await source.readPage({ table: 'dbo.forecast', after: 41n, cursor: null, limit: 1_000, signal });
 * ```
 */
export class EmbeddedChangeSource extends ChangeSource {
  readonly #database: EmbeddedDatabase;

  constructor(database: EmbeddedDatabase) {
    super();
    this.#database = database;
  }

  override get name(): string {
    return this.#database.name;
  }

  override describe(table: string): Promise<TableDescription> {
    return this.#database.read(`describe ${table}`, ({ tables }) => {
      const { shape } = tables.get(table);
      return {
        table,
        primaryKey: shape.primaryKey,
        columns: shape.columns.map(({ name }) => name),
        schemaHash: shape.schemaHash,
      };
    });
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.#database.read('state', ({ tables: registry, log }) => ({
      epoch: log.epoch,
      currentVersion: log.version,
      tables: new Map(tables.map((table) => [table, stateOf(() => registry.get(table).state)])),
    }));
  }

  /** @throws TableNotTrackedError and its kin. */
  override async readPage(request: PageRequest): Promise<ChangePage> {
    request.signal.throwIfAborted();
    return this.#database.readInSteps(`readPage ${request.table}`, async (access, pause) => {
      const { epoch, version: upperVersion } = access.log;
      const table = access.tables.get(request.table);
      const rows = new RowLookup(access, table);
      const commits = new CommitLookup(access);
      const changes: RowChange[] = [];
      const cursors: ChangeCursor[] = [];
      for (;;) {
        const after = cursors.at(-1) ?? request.cursor ?? { version: request.after + 1n, key: '' };
        const wanted = Math.min(STEP_ROWS, request.limit - changes.length);
        const entries = entriesAfter(access, table, { after, upperVersion, limit: wanted });
        for (const entry of entries) {
          const version = integerOf(entry, 'version');
          changes.push(this.#change(table, request, entry, { rows, commit: commits.find(version), epoch }));
          cursors.push({ version, key: textOf(entry, 'key') });
        }
        if (entries.length < wanted || changes.length >= request.limit) {
          return { epoch, upperVersion, state: table.state, changes, cursors };
        }
        await pause();
        request.signal.throwIfAborted();
      }
    });
  }

  /** @throws TableNotTrackedError and its kin. */
  override async readChunk(request: ChunkRequest): Promise<TableChunk> {
    request.signal.throwIfAborted();
    return this.#database.readInSteps(`readChunk ${request.table}`, async (access, pause) => {
      const table = access.tables.get(request.table);
      const reader = new TableReader(table);
      const rows: TableChunk['rows'][number][] = [];
      let lastKey: string | null = null;
      for (;;) {
        const wanted = Math.min(STEP_ROWS, request.limit - rows.length);
        const stored = rowsAfter(access, table, reader, { afterKey: lastKey ?? request.afterKey, limit: wanted });
        for (const one of stored) {
          const row = reader.row(one);
          rows.push({ primaryKey: reader.keyIn(row), row });
        }
        lastKey = optionalTextOf(stored.at(-1), KEY_COLUMN) ?? lastKey;
        if (stored.length < wanted || rows.length >= request.limit) {
          return { rows, lastKey };
        }
        await pause();
        request.signal.throwIfAborted();
      }
    });
  }

  /** Compare-and-set on the database's row. */
  override raiseEpoch(from: bigint, atLeast?: bigint): Promise<bigint> {
    return this.#database.raiseEpoch(from, atLeast);
  }

  /** Opened nothing: the database is closed by whoever opened it. */
  override close(): Promise<void> {
    return Promise.resolve();
  }

  #change(
    table: TrackedTable,
    request: PageRequest,
    entry: SqlRow,
    { rows, commit, epoch }: { rows: RowLookup; commit: Commit; epoch: bigint },
  ): RowChange {
    const values = parseKeyText(textOf(entry, 'key'));
    const deleted = entry['operation'] === 'D';
    const row = deleted ? null : rows.find(values);
    return {
      source: this.name,
      table: request.table,
      operation: deleted ? 'delete' : 'upsert',
      primaryKey: row === null ? rows.reader.key(values) : rows.reader.keyIn(row),
      version: { epoch, version: integerOf(entry, 'version') },
      changedColumns: deleted ? null : changedColumns(table, entry, request.after),
      row,
      origin: commit.origin,
      committedAtMs: commit.committedAtMs,
    };
  }
}

const KEY_COLUMN = 'smartpulse_key';
/** Rows that are read before the event loop turns: a few milliseconds. */
const STEP_ROWS = 125;

/** Rows of the log after a place in it. */
function entriesAfter(
  { connection }: EmbeddedAccess,
  { id }: TrackedTable,
  { after, upperVersion, limit }: { after: ChangeCursor; upperVersion: bigint; limit: number },
): SqlRow[] {
  // A row value, not OR: only so is the index used for the whole comparison. No key is the empty text.
  return connection.all(
    `SELECT key, version, operation, changed_mask, mask_since FROM smartpulse_change_log
      WHERE table_id = ? AND (version, key) > (?, ?) AND version <= ? ORDER BY version, key LIMIT ?`,
    id,
    after.version,
    after.key,
    upperVersion,
    limit,
  );
}

/** Rows of the table after a key. */
function rowsAfter(
  { connection }: EmbeddedAccess,
  { sqliteTable, shape }: TrackedTable,
  { columnSql, keySql }: TableReader,
  { afterKey, limit }: Pick<ChunkRequest, 'afterKey' | 'limit'>,
): SqlRow[] {
  const after = afterKey === null ? [] : parseKeyText(afterKey);
  const where = afterKey === null ? '' : `WHERE (${keySql}) > (${after.map(() => '?').join(', ')})`;
  return connection.all(
    `SELECT ${columnSql}, ${keyTextSql('t', shape.primaryKey)} AS ${quoteName(KEY_COLUMN)}
      FROM ${quoteName(sqliteTable)} t ${where} ORDER BY ${keySql} LIMIT ?`,
    ...after,
    limit,
  );
}

/** Finds the current row of a key, for the length of one turn. */
class RowLookup {
  readonly reader: TableReader;
  readonly #lookup: (values: readonly SqlValue[]) => SqlRow | undefined;

  constructor({ connection }: EmbeddedAccess, table: TrackedTable) {
    this.reader = new TableReader(table);
    const where = table.shape.primaryKey.map((column) => `${quoteName(column)} = ?`).join(' AND ');
    this.#lookup = connection.lookup(
      `SELECT ${this.reader.columnSql} FROM ${quoteName(table.sqliteTable)} WHERE ${where}`,
    );
  }

  find(values: readonly SqlValue[]): Row | null {
    const row = this.#lookup(values);
    return row === undefined ? null : this.reader.row(row);
  }
}

interface Commit {
  readonly origin: string | null;
  readonly committedAtMs: number | null;
}

/** Finds the commit of a version, for the length of one turn. Rows of one version follow one another. */
class CommitLookup {
  readonly #lookup: (values: readonly SqlValue[]) => SqlRow | undefined;
  #version: bigint | undefined;
  #commit: Commit = { origin: null, committedAtMs: null };

  constructor({ connection }: EmbeddedAccess) {
    this.#lookup = connection.lookup('SELECT origin, committed_at_ms FROM smartpulse_commit WHERE version = ?');
  }

  find(version: bigint): Commit {
    if (version !== this.#version) {
      const row = this.#lookup([version]);
      const committedAt = optionalIntegerOf(row, 'committed_at_ms');
      this.#version = version;
      this.#commit = {
        origin: optionalTextOf(row, 'origin'),
        committedAtMs: committedAt === null ? null : Number(committedAt),
      };
    }
    return this.#commit;
  }
}

/** A mask tells what changed after `mask_since`: a reader whose position is before it cannot know. */
function changedColumns({ maskColumns }: TrackedTable, entry: SqlRow, after: bigint): readonly string[] | null {
  const mask = entry['changed_mask'];
  if (typeof mask !== 'bigint' || after < integerOf(entry, 'mask_since')) {
    return null;
  }
  return maskColumns.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
}

function stateOf(read: () => TableState): TableState | null {
  try {
    return read();
  } catch (error) {
    if (TableNotTrackedError.is(error) || TableNotFoundError.is(error)) {
      return null;
    }
    throw error;
  }
}
