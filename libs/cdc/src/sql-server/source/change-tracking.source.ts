import { Logger } from '@nestjs/common';
import { CheckpointExpiredError, TableNotTrackedError } from '../../cdc.errors.js';
import type { RowChange } from '../../change/row-change.js';
import {
  type ChangeCursor,
  type ChangePage,
  ChangeSource,
  type ChunkRequest,
  type FailureKind,
  type PageRequest,
  type SourceState,
  type TableChunk,
  type TableDescription,
  type TableState,
} from '../../source/change.source.js';
import {
  bigintIn,
  firstOf,
  optionalBigintIn,
  optionalBytesIn,
  optionalTextIn,
  setOf,
  textIn,
  truthIn,
} from '../pool/cells.js';
import type { SqlServerAnswer, SqlServerRow } from '../pool/sql-server.pool.js';
import type { SqlServerStatements } from '../pool/sql-server.statements.js';
import { ChangeTrackingOffError, SqlServerBookkeepingError, SqlServerStatementError } from '../sql-server.errors.js';
import { adoptFork, raiseEpoch } from '../statements/epochs.js';
import { describeTable, lookAtSource, MOST_TABLES_PER_LOOK } from '../statements/look-at-source.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { PAGE_COLUMNS, readChanges, readRows } from '../statements/read-changes.js';
import { failureKindOf } from '../errors/failure-kind.js';
import { decodeChangeContext } from './change-context.js';
import { KnownTables } from './known-tables.js';
import { keyTextOf, keyValuesOf } from './key-text.js';
import { retentionMsOf } from './retention.js';
import { RowReader } from './row-reader.js';
import { SeekHints } from './seek-hints.js';
import { type SqlServerTable, shapeOf } from './table-shape.js';

/** How changes are read. */
export interface ChangeTrackingSourceOptions {
  readonly statements: SqlServerStatements;
  /** `auto`: snapshots where the database allows them, committed rows with checks around them where not. */
  readonly isolation: 'auto' | 'snapshot' | 'read-committed';
  /** `auto`: for some pages of a table after one that took too long. */
  readonly forceSeek: 'auto' | boolean;
  /** Columns to read by table; a table that is not named is read whole. */
  readonly columns?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Closes what the source shares with the other parts. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** Object, column or right that is missing, table that is not tracked: what was known of the table is void. */
const SHAPE_IS_VOID: readonly number[] = [207, 208, 229, 230, 4998, 22105];
const [VERSION, OPERATION, MASK, CONTEXT, PRESENT] = [0, 1, 2, 3, 4];
const KEY_FROM = PAGE_COLUMNS.length;

/**
 * Changes of SQL Server's Change Tracking. A page and its rows come from one short snapshot, by a keyset cursor inside the version, so a
 * transaction of any size is read in bounded memory and no row of it is skipped; what the server cannot tell any more is told as such.
 *
 * Made by `sqlServerCdc(…)`.
 */
export class SqlServerChangeTrackingSource extends ChangeSource {
  readonly #logger = new Logger(SqlServerChangeTrackingSource.name);
  readonly #options: ChangeTrackingSourceOptions;
  readonly #statements: SqlServerStatements;
  readonly #tables = new Map<string, SqlServerTable>();
  #known: KnownTables | undefined;
  readonly #seeks: SeekHints;
  #snapshotRefused = false;

  constructor(options: ChangeTrackingSourceOptions) {
    super();
    this.#options = options;
    this.#statements = options.statements;
    this.#seeks = new SeekHints(options.forceSeek);
  }

  override get name(): string {
    return this.#statements.source;
  }

  /** @throws what tells the causes of a table that cannot be followed apart: see `shapeOf`. */
  override async describe(table: string): Promise<TableDescription> {
    const { primaryKey, columns, schemaHash } = descriptionOf(await this.#describe(table));
    return { table, primaryKey, columns, schemaHash };
  }

  /** @throws ChangeTrackingOffError when the database tracks nothing. */
  override async state(tables: readonly string[]): Promise<SourceState> {
    const known = this.#known;
    if (known?.cover(tables) === true) {
      const confirmed = known.confirmedBy(await this.#statements.run(known.statement));
      if (confirmed !== undefined) {
        return confirmed;
      }
    }
    // All that were looked at, so that trackers that look by turns come to ask one question.
    const all = [...new Set([...tables, ...(known?.states.keys() ?? [])])];
    return this.#look(all.length > MOST_TABLES_PER_LOOK ? tables : all);
  }

  async #look(tables: readonly string[]): Promise<SourceState> {
    const { schema, limits } = this.#statements;
    const states = new Map<string, TableState | null>();
    let seen: Omit<SourceState, 'tables'> | undefined;
    let forkIsKnown = true;
    for (let from = 0; from === 0 || from < tables.length; from += MOST_TABLES_PER_LOOK) {
      const some = tables.slice(from, from + MOST_TABLES_PER_LOOK);
      const look = lookAtSource(some, schema, limits);
      const answer = await this.#ofThisFork(await this.#statements.run(look), look);
      forkIsKnown &&= optionalTextIn(firstOf(answer, 0) ?? [], 2) !== null;
      // The lowest version of several looks is true for all of them.
      seen ??= {
        epoch: this.#epochIn(answer, 0),
        currentVersion: this.#versionIn(answer, 1),
        retentionMs: retentionMs(firstOf(answer, 2)),
      };
      some.forEach((table, index) => states.set(table, stateIn(answer, table, index)));
    }
    if (seen === undefined) {
      throw new ChangeTrackingOffError(this.name);
    }
    const tracked = new Map([...states].filter((entry): entry is [string, TableState] => entry[1] !== null));
    this.#known = forkIsKnown && tracked.size > 0 ? new KnownTables(tracked, schema, limits) : undefined;
    return { ...seen, tables: states };
  }

  /** The answer; another one when a restore has put the database on another recovery fork, under a higher epoch. */
  async #ofThisFork(answer: SqlServerAnswer, look: SqlServerStatement): Promise<SqlServerAnswer> {
    const epoch = firstOf(answer, 0) ?? [];
    const [known, fork] = [optionalTextIn(epoch, 1), optionalTextIn(epoch, 2)];
    if (epoch.length === 0 || fork === null || known?.toLowerCase() === fork.toLowerCase()) {
      return answer;
    }
    const { schema, limits } = this.#statements;
    const raised = firstOf(await this.#statements.run(adoptFork(fork, schema, limits)), 0);
    if (raised !== undefined && known !== null) {
      this.#logger.warn(
        `"${this.name}" was restored or failed over with loss: its recovery fork is another one. Epoch ${bigintIn(raised, 0)} begins, and all tables are read anew.`,
      );
    }
    return this.#statements.run(look);
  }

  override async readPage(request: PageRequest): Promise<ChangePage> {
    const { table, after, cursor, limit, signal } = request;
    signal.throwIfAborted();
    return this.#reading(table, async (shape, isolation) => {
      const { schema, limits } = this.#statements;
      const place =
        cursor === null ? null : { version: cursor.version, key: keyValuesOf(cursor.key, shape.key.length) };
      const page = { ...limits, table: shape, isolation, after, cursor: place, limit, schema };
      const answer = await this.#seeks.read(table, (forceSeek) =>
        this.#statements.run(readChanges({ ...page, forceSeek }), signal),
      );
      return this.#page(request, shape, answer);
    });
  }

  override async readChunk(request: ChunkRequest): Promise<TableChunk> {
    const { table, afterKey, limit, signal } = request;
    signal.throwIfAborted();
    return this.#reading(table, async (shape, isolation) => {
      const after = afterKey === null ? null : keyValuesOf(afterKey, shape.key.length);
      const statement = readRows({ ...this.#statements.limits, table: shape, isolation, afterKey: after, limit });
      const answered = setOf(await this.#statements.run(statement, signal), 0);
      const reader = new RowReader(shape);
      const rows = answered.map((cells) => {
        const row = reader.row(cells, 0);
        return { primaryKey: reader.keyIn(row), row };
      });
      const last = answered.at(-1);
      return { rows, lastKey: last === undefined ? null : keyTextOf(reader.keyTexts(last, 0)) };
    });
  }

  /** By the class of the statement's error; what names a missing table, right or setting is for somebody to change. */
  override failureOf(error: unknown): FailureKind {
    return failureKindOf(error);
  }

  /** Compare-and-set on the database's row. */
  override async raiseEpoch(from: bigint, atLeast = 0n): Promise<bigint> {
    const { schema, limits } = this.#statements;
    return this.#epochIn(await this.#statements.run(raiseEpoch(from, atLeast, schema, limits)), 0);
  }

  override async close(): Promise<void> {
    await this.#options.close?.();
  }

  #page(request: PageRequest, shape: SqlServerTable, answer: SqlServerAnswer): ChangePage {
    const { table, after } = request;
    const upperVersion = this.#versionIn(answer, 0);
    const oldest = optionalBigintIn(firstOf(answer, 0) ?? [], 1);
    const tracking = firstOf(answer, 2);
    if (oldest === null || tracking === undefined) {
      this.#tables.delete(table);
      throw new TableNotTrackedError(table, this.name);
    }
    const afterwards = bigintIn(tracking, 2);
    // A snapshot begins with the first access to data, after this was asked, so that also a page of one may lack what a clean-up in between
    // took away: only one before which and after which everything was there is whole.
    const minValidVersion = oldest > afterwards ? oldest : afterwards;
    if (minValidVersion > after) {
      throw new CheckpointExpiredError(table, after, minValidVersion);
    }
    const epoch = this.#epochIn(answer, 3);
    const reader = new RowReader(shape);
    const changes: RowChange[] = [];
    const cursors: ChangeCursor[] = [];
    for (const cells of setOf(answer, 1)) {
      const version = bigintIn(cells, VERSION);
      if (version > upperVersion) {
        // The version was read before the rows, so newer ones may be among them; they sort last and come again.
        break;
      }
      changes.push(this.#change(shape, reader, cells, { epoch, version }));
      cursors.push({ version, key: keyTextOf(reader.keyTexts(cells, KEY_FROM)) });
    }
    const state = {
      table,
      objectId: bigintIn(tracking, 0).toString(),
      beginVersion: bigintIn(tracking, 1),
      minValidVersion,
    };
    return { epoch, upperVersion, state, changes, cursors };
  }

  #change(shape: SqlServerTable, reader: RowReader, cells: SqlServerRow, version: RowChange['version']): RowChange {
    // Without a snapshot a changed row may be gone again; its own delete comes later, with a higher version.
    const gone = textIn(cells, OPERATION).trim() === 'D' || !truthIn(cells, PRESENT);
    const row = gone ? null : reader.row(cells, KEY_FROM);
    const context = decodeChangeContext(optionalBytesIn(cells, CONTEXT));
    return {
      source: this.name,
      table: shape.table,
      operation: gone ? 'delete' : 'upsert',
      // The log keeps the first spelling of a key that was rewritten in another case; the row has the one of now.
      primaryKey: row === null ? reader.key(cells, KEY_FROM) : reader.keyIn(row),
      version,
      changedColumns: gone ? null : changedColumns(shape, optionalTextIn(cells, MASK)),
      row,
      origin: context?.origin ?? null,
      traceparent: context?.traceparent ?? null,
      committedAtMs: null,
    };
  }

  /** Reads with what is known of the table; looks again, which says exactly what is wrong, when the server refuses that. */
  async #reading<T>(
    table: string,
    read: (shape: SqlServerTable, isolation: 'SNAPSHOT' | 'READ COMMITTED') => Promise<T>,
  ): Promise<T> {
    const shape = this.#tables.get(table) ?? (await this.#describe(table));
    try {
      return await read(shape, this.#isolationFor(shape));
    } catch (error) {
      if (!SqlServerStatementError.is(error)) {
        throw error;
      }
      const { failure } = error;
      if (failure.class === 'snapshotUnavailable' && this.#options.isolation === 'auto') {
        this.#snapshotRefused = true;
        this.#warnOfSnapshots();
        return read(shape, 'READ COMMITTED');
      }
      if (SHAPE_IS_VOID.includes(failure.number ?? 0)) {
        this.#tables.delete(table);
        await this.#describe(table);
      }
      throw error;
    }
  }

  async #describe(table: string): Promise<SqlServerTable> {
    const request = { table, source: this.name, columns: this.#options.columns?.[table] };
    const shape = shapeOf(await this.#statements.run(describeTable(table, this.#statements.limits)), request);
    this.#tables.set(table, shape);
    if (shape.snapshotAllowed) {
      this.#snapshotRefused = false;
    } else if (this.#options.isolation === 'auto' && !this.#snapshotRefused) {
      this.#snapshotRefused = true;
      this.#warnOfSnapshots();
    }
    return shape;
  }

  #isolationFor({ snapshotAllowed }: SqlServerTable): 'SNAPSHOT' | 'READ COMMITTED' {
    const { isolation } = this.#options;
    const snapshot = isolation === 'snapshot' || (isolation === 'auto' && snapshotAllowed && !this.#snapshotRefused);
    return snapshot ? 'SNAPSHOT' : 'READ COMMITTED';
  }

  #warnOfSnapshots(): void {
    this.#logger.warn(
      `"${this.name}" allows no snapshots: committed rows are read instead, with checks around them. Better: ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON.`,
    );
  }

  #versionIn(answer: SqlServerAnswer, set: number): bigint {
    const version = optionalBigintIn(firstOf(answer, set) ?? [], 0);
    if (version === null) {
      throw new ChangeTrackingOffError(this.name);
    }
    return version;
  }

  #epochIn(answer: SqlServerAnswer, set: number): bigint {
    const row = firstOf(answer, set);
    if (row === undefined) {
      throw new SqlServerBookkeepingError(this.name, this.#statements.schema);
    }
    return bigintIn(row, 0);
  }
}

function descriptionOf({ table, key, columns, schemaHash }: SqlServerTable): TableDescription {
  return {
    table,
    primaryKey: key.map(({ name }) => name),
    columns: columns.map(({ name }) => name),
    schemaHash,
  };
}

function retentionMs(row: SqlServerRow | undefined): number | null {
  return row === undefined ? null : retentionMsOf(row, 0);
}

/** The state of a table in an answer of `lookAtSource`. */
function stateIn(answer: SqlServerAnswer, table: string, index: number): TableState | null {
  const id = optionalBigintIn(firstOf(answer, 3) ?? [], index);
  const row = id === null ? undefined : setOf(answer, 4).find((one) => bigintIn(one, 0) === id);
  return row === undefined || id === null
    ? null
    : {
        table,
        objectId: id.toString(),
        beginVersion: bigintIn(row, 1),
        minValidVersion: bigintIn(row, 2),
        definition: bigintIn(row, 3).toString(),
      };
}

/** `null` = unknown or all. */
function changedColumns({ maskColumnIds, columns }: SqlServerTable, bits: string | null): readonly string[] | null {
  if (bits === null) {
    return null;
  }
  const changed = new Set(maskColumnIds.filter((_, index) => bits[index] === '1'));
  return columns.filter(({ id }) => changed.has(id)).map(({ name }) => name);
}
