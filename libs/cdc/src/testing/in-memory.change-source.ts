import { EpochNotRaisedError, TableNotFoundError, TableNotTrackedError } from '../cdc.errors.js';
import type { PrimaryKey, Row, RowChange } from '../change/row-change.js';
import {
  type ChangePage,
  ChangeSource,
  type ChunkRequest,
  type PageRequest,
  type SourceState,
  type TableChunk,
  type TableDescription,
} from '../source/change.source.js';
import { type InMemoryTable, type InMemoryTransaction, type LogEntry, TrackedTable } from './in-memory.database.js';

/** A state to restore: what a database backup holds. */
export interface InMemoryBackup {
  readonly version: bigint;
  readonly tables: ReadonlyMap<string, TrackedTable>;
}

/**
 * A tracked database in memory, for tests: transactions that share one version, net changes per row, clean-up, truncate, drop and create,
 * restore. Every read is one snapshot.
 *
 * @example
 * ```ts
 * const source = new InMemoryChangeSource('db', [{ table: 'dbo.stock', primaryKey: ['id'], columns: ['id', 'level'] }]);
 * source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 7 }));
 * ```
 */
export class InMemoryChangeSource extends ChangeSource {
  #tables = new Map<string, TrackedTable>();
  #version = 0n;
  #epoch = 1n;
  #objectIds = 0;
  #closed = false;

  constructor(
    override readonly name: string,
    tables: readonly InMemoryTable[],
    readonly canRaiseEpoch = true,
  ) {
    super();
    for (const definition of tables) {
      this.#tables.set(definition.table, new TrackedTable(definition.table, definition, ++this.#objectIds, 0n));
    }
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  get version(): bigint {
    return this.#version;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** One transaction: all its rows get one version, which it answers. One that changes nothing, or throws, moves nothing. */
  commit(work: (transaction: InMemoryTransaction) => void, context?: { origin?: string; atMs?: number }): bigint {
    const steps: ((version: bigint) => boolean)[] = [];
    const entry = (key: string, primaryKey: PrimaryKey, version: bigint): LogEntry => ({
      key,
      primaryKey,
      version,
      origin: context?.origin ?? null,
      committedAtMs: context?.atMs ?? null,
    });
    work({
      upsert: (name, row) => {
        const table = this.#table(name);
        const primaryKey = table.primaryKeyOf(row);
        const key = table.keyOf(primaryKey);
        steps.push((version) => {
          table.rows.set(key, row);
          return record(table, entry(key, primaryKey, version));
        });
      },
      delete: (name, primaryKey) => {
        const table = this.#table(name);
        const key = table.keyOf(primaryKey);
        steps.push((version) => table.rows.delete(key) && record(table, entry(key, primaryKey, version)));
      },
    });
    const next = this.#version + 1n;
    if (steps.map((step) => step(next)).includes(true)) {
      this.#version = next;
    }
    return this.#version;
  }

  /** Forgets changes at or below `version`: readers whose position is below must read the table anew. */
  cleanUp(version: bigint, ...names: string[]): void {
    for (const table of this.#named(names)) {
      if (version > table.minValidVersion) {
        table.minValidVersion = version;
        table.log.forEach((entry, key) => entry.version <= version && table.log.delete(key));
      }
    }
  }

  /** Empties a table without a change: the counter stands still, tracking begins anew. */
  truncate(name: string): void {
    const table = this.#table(name);
    table.rows.clear();
    table.log.clear();
    table.beginVersion = this.#version;
    table.minValidVersion = this.#version;
  }

  /** Drops a table and creates it again, empty. */
  recreate(name: string): void {
    const { primaryKey, columns } = this.#table(name);
    const definition = { table: name, primaryKey, columns };
    this.#tables.set(name, new TrackedTable(name, definition, ++this.#objectIds, this.#version));
  }

  /** Ends or begins tracking; ending forgets the log. */
  track(name: string, tracked: boolean): void {
    const table = this.#table(name);
    table.tracked = tracked;
    table.log.clear();
    table.beginVersion = this.#version;
    table.minValidVersion = this.#version;
  }

  /** Adds a column; no row changes. */
  addColumn(name: string, column: string): void {
    const table = this.#table(name);
    table.columns = [...table.columns, column];
  }

  backUp(): InMemoryBackup {
    return {
      version: this.#version,
      tables: new Map([...this.#tables].map(([name, table]) => [name, table.copy()])),
    };
  }

  /** Goes back to a backup, the counter with it; with `newEpoch` whoever restores says so, without it readers have to find out. */
  restore(backup: InMemoryBackup, options: { newEpoch: boolean }): void {
    this.#tables = new Map([...backup.tables].map(([name, table]) => [name, table.copy()]));
    this.#version = backup.version;
    if (options.newEpoch) {
      this.#epoch += 1n;
    }
  }

  /** The truth: the table's rows by key text. */
  rows(name: string): ReadonlyMap<string, Row> {
    return this.#table(name).rows;
  }

  /** The table's log by key text. */
  log(name: string): ReadonlyMap<string, LogEntry> {
    return this.#table(name).log;
  }

  /** The text that cursors and {@link rows} know a primary key by. */
  keyOf(name: string, primaryKey: PrimaryKey): string {
    return this.#table(name).keyOf(primaryKey);
  }

  override async describe(name: string): Promise<TableDescription> {
    return this.#table(name).description();
  }

  override async state(names: readonly string[]): Promise<SourceState> {
    return {
      epoch: this.#epoch,
      currentVersion: this.#version,
      tables: new Map(
        names.map((name) => {
          const table = this.#tables.get(name);
          return [name, table?.tracked === true ? table.state() : null];
        }),
      ),
    };
  }

  override async readPage({ table: name, after, cursor, limit, signal }: PageRequest): Promise<ChangePage> {
    signal.throwIfAborted();
    const table = this.#table(name);
    if (!table.tracked) {
      throw new TableNotTrackedError(name, this.name);
    }
    const entries = [...table.log.values()]
      .filter((entry) => entry.version > after && (cursor === null || isAfter(entry, cursor)))
      .sort((a, b) => (isAfter(a, b) ? 1 : -1))
      .slice(0, limit);
    return {
      epoch: this.#epoch,
      upperVersion: this.#version,
      state: table.state(),
      changes: entries.map((entry) => this.#change(table, entry)),
      cursors: entries.map(({ version, key }) => ({ version, key })),
    };
  }

  override async readChunk({ table: name, afterKey, limit, signal }: ChunkRequest): Promise<TableChunk> {
    signal.throwIfAborted();
    const table = this.#table(name);
    const keys = [...table.rows.keys()].filter((key) => afterKey === null || key > afterKey).sort();
    const rows = keys.slice(0, limit).map((key) => {
      const row = table.rows.get(key) ?? {};
      return { primaryKey: table.primaryKeyOf(row), row };
    });
    return { rows, lastKey: keys[rows.length - 1] ?? null };
  }

  override async raiseEpoch(from: bigint, atLeast = 0n): Promise<bigint> {
    if (!this.canRaiseEpoch) {
      throw new EpochNotRaisedError(this.name, from);
    }
    if (atLeast > this.#epoch) {
      this.#epoch = atLeast;
    } else if (this.#epoch === from) {
      this.#epoch += 1n;
    }
    return this.#epoch;
  }

  override async close(): Promise<void> {
    this.#closed = true;
  }

  #change(table: TrackedTable, { key, primaryKey, version, origin, committedAtMs }: LogEntry): RowChange {
    const row = table.rows.get(key) ?? null;
    return {
      source: this.name,
      table: table.name,
      operation: row === null ? 'delete' : 'upsert',
      primaryKey,
      version: { epoch: this.#epoch, version },
      changedColumns: null,
      row,
      origin,
      committedAtMs,
    };
  }

  #table(name: string): TrackedTable {
    const table = this.#tables.get(name);
    if (table === undefined) {
      throw new TableNotFoundError(name, this.name);
    }
    return table;
  }

  #named(names: readonly string[]): readonly TrackedTable[] {
    return names.length === 0 ? [...this.#tables.values()] : names.map((name) => this.#table(name));
  }
}

/** Whether the change counts: one of a table that is not tracked moves no version. */
function record(table: TrackedTable, entry: LogEntry): boolean {
  if (table.tracked) {
    table.log.set(entry.key, entry);
  }
  return table.tracked;
}

interface Place {
  readonly version: bigint;
  readonly key: string;
}

function isAfter(a: Place, b: Place): boolean {
  return a.version > b.version || (a.version === b.version && a.key > b.key);
}
