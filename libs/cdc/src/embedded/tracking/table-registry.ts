import type { TableState } from '../../source/change.source.js';
import { EmbeddedTableNameError } from '../embedded.errors.js';
import { PrimaryKeyMissingError, TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import type { SqliteConnection } from '../sql/sqlite.connection.js';
import { integerOf, textOf } from '../sql/sql-value.js';
import type { ChangeLog } from './change-log.js';
import { sqliteTableName, quoteName } from './table-name.js';
import { readTableShape, type TableShape, trackingTriggers } from './table-shape.js';
import { maskColumns, trackingTriggerSql } from './tracking-triggers.js';

/** Between the names of columns in the registry: no name holds it. */
const MASK_SEPARATOR = '\n';

/** A tracked table: its state and how it looks now. */
export interface TrackedTable {
  readonly id: bigint;
  readonly sqliteTable: string;
  readonly state: TableState;
  readonly shape: TableShape;
  /** What the bits of a mask in the log stand for. */
  readonly maskColumns: readonly string[];
}

/** Which tables are tracked. Every method runs inside a transaction of its caller. */
export class TableRegistry {
  readonly #connection: SqliteConnection;
  readonly #log: ChangeLog;
  readonly #source: string;

  constructor(connection: SqliteConnection, log: ChangeLog, source: string) {
    this.#connection = connection;
    this.#log = log;
    this.#source = source;
  }

  /**
   * Begins to track; does nothing where it is tracked and its triggers fit. A table that was dropped and created again (a schema
   * synchronisation does that to change a column) begins anew, under another object id: its transaction takes a number.
   */
  enable(table: string): 'begun' | 'adjusted' | 'unchanged' {
    const sqliteTable = sqliteTableName(table);
    const shape = this.#shapeOf(table, sqliteTable);
    if (shape.primaryKey.length === 0) {
      throw new PrimaryKeyMissingError(table, this.#source);
    }
    const known = this.#connection.get(
      'SELECT id, name, mask_columns AS masks FROM smartpulse_tracked_table WHERE name = ? OR sqlite_name = ?',
      table,
      sqliteTable,
    );
    if (known !== undefined && known['name'] !== table) {
      throw new EmbeddedTableNameError(table, `stands for the table that is tracked as "${textOf(known, 'name')}"`);
    }
    const masks = maskColumns(shape).join(MASK_SEPARATOR);
    const present = trackingTriggers(this.#connection, sqliteTable);
    const id = known === undefined ? this.#nextId() : integerOf(known, 'id');
    const wanted = trackingTriggerSql(Number(id), sqliteTable, shape);
    if (known !== undefined && present.size === wanted.size) {
      const sameColumns = known['masks'] === masks;
      if (sameColumns && [...wanted].every(([name, sql]) => present.get(name) === sql)) {
        return 'unchanged';
      }
      // Columns were added, or the triggers are of another version of this package: the log goes on, its old masks mean nothing now.
      this.#replaceTriggers(present, wanted);
      if (!sameColumns) {
        this.#connection.run('UPDATE smartpulse_change_log SET changed_mask = NULL WHERE table_id = ?', id);
        this.#connection.run('UPDATE smartpulse_tracked_table SET mask_columns = ? WHERE id = ?', masks, id);
      }
      return 'adjusted';
    }
    this.#forgetLog(id);
    this.#replaceTriggers(present, wanted);
    const begin = this.#log.version + 1n;
    this.#connection.run(
      `INSERT INTO smartpulse_tracked_table (id, name, sqlite_name, object_id, begin_version, min_valid_version, mask_columns)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET object_id = excluded.object_id,
        begin_version = excluded.begin_version, min_valid_version = excluded.min_valid_version, mask_columns = excluded.mask_columns`,
      id,
      table,
      sqliteTable,
      `${this.#log.epoch}-${begin}-${id}`,
      begin,
      begin,
      masks,
    );
    return 'begun';
  }

  /** Answers whether it was tracked. */
  disable(table: string): boolean {
    const row = this.#connection.get(
      'SELECT id, sqlite_name AS sqliteName FROM smartpulse_tracked_table WHERE name = ?',
      table,
    );
    if (row === undefined) {
      return false;
    }
    this.#replaceTriggers(trackingTriggers(this.#connection, textOf(row, 'sqliteName')), new Map());
    this.#forgetLog(integerOf(row, 'id'));
    this.#connection.run('DELETE FROM smartpulse_tracked_table WHERE name = ?', table);
    return true;
  }

  /** Empties the table and its log without telling a change; tracking begins anew. */
  truncate(table: string): void {
    const { id, sqliteTable, shape } = this.get(table);
    this.#replaceTriggers(trackingTriggers(this.#connection, sqliteTable), new Map());
    this.#connection.run(`DELETE FROM ${quoteName(sqliteTable)}`);
    this.#forgetLog(id);
    this.#replaceTriggers(new Map(), trackingTriggerSql(Number(id), sqliteTable, shape));
    const begin = this.#log.version + 1n;
    this.#connection.run(
      'UPDATE smartpulse_tracked_table SET begin_version = ?, min_valid_version = ? WHERE id = ?',
      begin,
      begin,
      id,
    );
  }

  /**
   * @throws TableNotFoundError
   * @throws TableNotTrackedError also when the table was dropped and created again since, and with it its triggers.
   */
  get(table: string): TrackedTable {
    const sqliteTable = sqliteTableName(table);
    const shape = this.#shapeOf(table, sqliteTable);
    const row = this.#connection.get(
      `SELECT id, name, object_id, begin_version, min_valid_version, mask_columns FROM smartpulse_tracked_table WHERE sqlite_name = ?`,
      sqliteTable,
    );
    if (row !== undefined && row['name'] !== table) {
      throw new EmbeddedTableNameError(table, `is not the name that the table is tracked by, "${textOf(row, 'name')}"`);
    }
    // The insert trigger stands for all: they come and go together.
    if (row === undefined || trackingTriggers(this.#connection, sqliteTable).size === 0) {
      throw new TableNotTrackedError(
        table,
        this.#source,
        `Call EmbeddedDatabase.enableTracking(['${table}']) after the schema is synchronised and before trackers start.`,
      );
    }
    return {
      id: integerOf(row, 'id'),
      sqliteTable,
      shape,
      maskColumns: textOf(row, 'mask_columns')
        .split(MASK_SEPARATOR)
        .filter((name) => name !== ''),
      state: {
        table,
        objectId: textOf(row, 'object_id'),
        beginVersion: integerOf(row, 'begin_version'),
        minValidVersion: integerOf(row, 'min_valid_version'),
      },
    };
  }

  #shapeOf(table: string, sqliteTable: string): TableShape {
    const shape = readTableShape(this.#connection, sqliteTable);
    if (shape === undefined) {
      throw new TableNotFoundError(table, this.#source);
    }
    return shape;
  }

  #nextId(): bigint {
    return integerOf(this.#connection.get('SELECT coalesce(max(id), 0) + 1 AS id FROM smartpulse_tracked_table'), 'id');
  }

  #forgetLog(id: bigint): void {
    this.#connection.run('DELETE FROM smartpulse_change_log WHERE table_id = ?', id);
  }

  #replaceTriggers(present: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): void {
    for (const name of present.keys()) {
      this.#connection.exec(`DROP TRIGGER ${quoteName(name)}`);
    }
    for (const sql of wanted.values()) {
      this.#connection.exec(sql);
    }
    this.#connection.forgetStatements();
  }
}
