import { TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import type { RowChange } from '../../change/row-change.js';
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
import { integerOf, optionalIntegerOf, optionalTextOf, type SqlRow, textOf } from '../sql/sql-value.js';
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
    return this.#database.read(`readPage ${request.table}`, (access) => {
      const table = access.tables.get(request.table);
      const upperVersion = access.log.version;
      const entries = this.#entries(access, table, request, upperVersion);
      const rows = new RowLookup(access, table);
      const changes: RowChange[] = [];
      const cursors: ChangeCursor[] = [];
      for (const entry of entries) {
        const version = integerOf(entry, 'version');
        const key = textOf(entry, 'key');
        changes.push(this.#change(access, table, request, entry, rows));
        cursors.push({ version, key });
      }
      return { epoch: access.log.epoch, upperVersion, state: table.state, changes, cursors };
    });
  }

  /** @throws TableNotTrackedError and its kin. */
  override async readChunk(request: ChunkRequest): Promise<TableChunk> {
    request.signal.throwIfAborted();
    return this.#database.read(`readChunk ${request.table}`, ({ tables, connection }) => {
      const table = tables.get(request.table);
      const reader = new TableReader(table);
      const after = request.afterKey === null ? [] : parseKeyText(request.afterKey);
      const where = request.afterKey === null ? '' : `WHERE (${reader.keySql}) > (${after.map(() => '?').join(', ')})`;
      const rows = connection.all(
        `SELECT ${reader.columnSql}, ${keyTextSql('t', table.shape.primaryKey)} AS ${quoteName(KEY_COLUMN)}
          FROM ${quoteName(table.sqliteTable)} t ${where} ORDER BY ${reader.keySql} LIMIT ?`,
        ...after,
        request.limit,
      );
      return {
        rows: rows.map((row) => ({ primaryKey: reader.keyOf(row), row: reader.row(row) })),
        lastKey: optionalTextOf(rows.at(-1), KEY_COLUMN),
      };
    });
  }

  /** Compare-and-set on the database's row. */
  override raiseEpoch(from: bigint): Promise<bigint> {
    return this.#database.raiseEpoch(from);
  }

  /** Opened nothing: the database is closed by whoever opened it. */
  override close(): Promise<void> {
    return Promise.resolve();
  }

  #entries(
    { connection }: EmbeddedAccess,
    { id }: TrackedTable,
    { after, cursor, limit }: PageRequest,
    upperVersion: bigint,
  ): SqlRow[] {
    // A row value, not OR: only so is the index used for the whole comparison. No key is the empty text.
    return connection.all(
      `SELECT l.key, l.version, l.operation, l.changed_mask, l.mask_since, c.origin, c.committed_at_ms
        FROM smartpulse_change_log l LEFT JOIN smartpulse_commit c ON c.version = l.version
        WHERE l.table_id = ? AND (l.version, l.key) > (?, ?) AND l.version <= ?
        ORDER BY l.version, l.key LIMIT ?`,
      id,
      cursor?.version ?? after + 1n,
      cursor?.key ?? '',
      upperVersion,
      limit,
    );
  }

  #change(
    { log }: EmbeddedAccess,
    table: TrackedTable,
    request: PageRequest,
    entry: SqlRow,
    rows: RowLookup,
  ): RowChange {
    const values = parseKeyText(textOf(entry, 'key'));
    const deleted = entry['operation'] === 'D';
    const committedAt = optionalIntegerOf(entry, 'committed_at_ms');
    return {
      source: this.name,
      table: request.table,
      operation: deleted ? 'delete' : 'upsert',
      primaryKey: rows.reader.key(values),
      version: { epoch: log.epoch, version: integerOf(entry, 'version') },
      changedColumns: deleted ? null : changedColumns(table, entry, request.after),
      row: deleted ? null : rows.find(values),
      origin: optionalTextOf(entry, 'origin'),
      committedAtMs: committedAt === null ? null : Number(committedAt),
    };
  }
}

const KEY_COLUMN = 'smartpulse_key';

/** Finds the current row of a key. */
class RowLookup {
  readonly reader: TableReader;
  readonly #access: EmbeddedAccess;
  readonly #sql: string;

  constructor(access: EmbeddedAccess, table: TrackedTable) {
    this.#access = access;
    this.reader = new TableReader(table);
    const where = table.shape.primaryKey.map((column) => `${quoteName(column)} = ?`).join(' AND ');
    this.#sql = `SELECT ${this.reader.columnSql} FROM ${quoteName(table.sqliteTable)} WHERE ${where}`;
  }

  find(values: readonly unknown[]): RowChange['row'] {
    const row = this.#access.connection.get(this.#sql, ...values);
    return row === undefined ? null : this.reader.row(row);
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
