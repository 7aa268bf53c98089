import { BOOKKEEPING_TABLES } from './bookkeeping.js';
import { DECLARE_FORK } from './epochs.js';
import { quoteSchema, quoteTable, quoteText } from './identifier.js';
import { session, type SqlServerStatement, type StatementLimits, text } from './statement.js';

/** When a table was altered, in milliseconds: a change of its columns or keys moves it. */
const MODIFIED = "DATEDIFF_BIG(millisecond, '20000101', o.modify_date)";

/** Names that one look asks for at most: the server takes 2,100 parameters. */
export const MOST_TABLES_PER_LOOK = 1_000;

/**
 * One cheap look at the database for all tables: (epoch, fork of the epoch, fork now), (version now), (retention), (ids of the tables), (tracking state of each that
 * is tracked, and when it was altered). It reads no side table, and it runs outside of any snapshot, where metadata may fail with 3961.
 *
 * @param tables `schema.name`, at most {@link MOST_TABLES_PER_LOOK}.
 */
export function lookAtSource(tables: readonly string[], schema: string, limits: StatementLimits): SqlServerStatement {
  const ids = tables.map((_, index) => `OBJECT_ID(@table${index})`);
  return {
    name: 'lookAtSource',
    sql: [
      session('READ COMMITTED', limits),
      DECLARE_FORK,
      `SELECT e.epoch, CONVERT(nvarchar(36), e.recovery_fork) AS epoch_fork, @fork AS fork FROM ${quoteSchema(schema)}.[cdc_epoch] AS e WHERE e.id = 1;`,
      'SELECT CHANGE_TRACKING_CURRENT_VERSION() AS current_version;',
      'SELECT d.retention_period, d.retention_period_units_desc FROM sys.change_tracking_databases AS d WHERE d.database_id = DB_ID();',
      ...(ids.length === 0
        ? []
        : [
            `SELECT ${ids.map((id, index) => `${id} AS id${index}`).join(', ')};`,
            `SELECT t.object_id, t.begin_version, t.min_valid_version, ${MODIFIED} AS modified FROM sys.change_tracking_tables AS t INNER JOIN sys.tables AS o ON o.object_id = t.object_id WHERE t.object_id IN (${ids.join(', ')});`,
          ]),
    ].join('\n'),
    parameters: tables.map((table, index) => text(`table${index}`, quoteTable(table))),
  };
}

/** A table as a look has found it. */
export interface KnownTable {
  /** `schema.name`. */
  readonly table: string;
  readonly objectId: string;
}

/**
 * Whether a look would find what the last one did, for tables that are known: (epoch, fork of the epoch, fork now, version now, retention and its unit, how many of the
 * tables are what they were and tracked, sums of where their tracking begins, of what it keeps and of when they were altered). On one recovery fork these grow (but for an hour in
 * autumn: a table is altered by the server's local time), so that a sum that is the same is a sum of the same numbers. One row and no parameter, however many tables: what is asked each few hundred
 * milliseconds has to cost next to nothing.
 */
export function repeatLook(tables: readonly KnownTable[], schema: string, limits: StatementLimits): SqlServerStatement {
  const known = tables.map(({ table, objectId }) => `(${BigInt(objectId)}, ${quoteText(quoteTable(table))})`);
  return {
    name: 'repeatLook',
    sql: [
      session('READ COMMITTED', limits),
      DECLARE_FORK,
      'DECLARE @version bigint, @period int, @unit nvarchar(60), @tables int, @begun bigint, @oldest bigint, @modified bigint;',
      'SET @version = CHANGE_TRACKING_CURRENT_VERSION();',
      'SELECT @period = d.retention_period, @unit = d.retention_period_units_desc FROM sys.change_tracking_databases AS d WHERE d.database_id = DB_ID();',
      `SELECT @tables = COUNT(*), @begun = SUM(t.begin_version), @oldest = SUM(t.min_valid_version), @modified = SUM(${MODIFIED}) FROM (VALUES ${known.join(', ')}) AS k (id, name) INNER JOIN sys.change_tracking_tables AS t ON t.object_id = k.id INNER JOIN sys.tables AS o ON o.object_id = k.id WHERE OBJECT_ID(k.name) = k.id;`,
      `SELECT e.epoch, CONVERT(nvarchar(36), e.recovery_fork) AS epoch_fork, @fork AS fork, @version AS current_version, @period AS retention_period, @unit AS retention_unit, @tables AS tables, @begun AS begun, @oldest AS oldest, @modified AS modified FROM ${quoteSchema(schema)}.[cdc_epoch] AS e WHERE e.id = 1;`,
      'SET LOCK_TIMEOUT -1;\nSET XACT_ABORT OFF;',
    ].join('\n'),
    parameters: [],
    isBatch: true,
  };
}

/**
 * Everything about one table: (id, version now, rights, updateability), (snapshot isolation of the database), (tracking of the table),
 * (columns), (columns of the primary key).
 */
export function describeTable(table: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'describeTable',
    sql: `${session('READ COMMITTED', limits)}
SELECT OBJECT_ID(@table) AS object_id, CHANGE_TRACKING_CURRENT_VERSION() AS current_version, HAS_PERMS_BY_NAME(@table, N'OBJECT', N'SELECT') AS may_select, HAS_PERMS_BY_NAME(@table, N'OBJECT', N'VIEW CHANGE TRACKING') AS may_track, CONVERT(nvarchar(60), DATABASEPROPERTYEX(DB_NAME(), N'Updateability')) AS updateability;
SELECT d.snapshot_isolation_state FROM sys.databases AS d WHERE d.database_id = DB_ID();
SELECT t.is_track_columns_updated_on, t.begin_version, t.min_valid_version, t.cleanup_version FROM sys.change_tracking_tables AS t WHERE t.object_id = OBJECT_ID(@table);
SELECT c.column_id, c.name, TYPE_NAME(c.system_type_id) AS type_name, c.max_length, c.[precision], c.scale, c.is_computed, c.collation_name FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(@table) ORDER BY c.column_id;
SELECT ic.column_id, ic.is_descending_key FROM sys.indexes AS i INNER JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id WHERE i.object_id = OBJECT_ID(@table) AND i.is_primary_key = 1 AND ic.key_ordinal > 0 ORDER BY ic.key_ordinal;`,
    parameters: [text('table', quoteTable(table))],
  };
}

/**
 * What a database is like: (server, database, rights), (isolation, compatibility), (change tracking), (which of the bookkeeping's tables are
 * there), (which of them may be written), (their columns: the table's id, the column's name).
 */
export function examineDatabase(schema: string, limits: StatementLimits): SqlServerStatement {
  const tables = BOOKKEEPING_TABLES.map((table) => quoteText(`${quoteSchema(schema)}.[${table}]`));
  return {
    name: 'examineDatabase',
    sql: `${session('READ COMMITTED', limits)}
SELECT CONVERT(nvarchar(60), SERVERPROPERTY(N'ProductVersion')) AS product_version, DB_NAME() AS database_name, USER_NAME() AS user_name, CONVERT(nvarchar(60), DATABASEPROPERTYEX(DB_NAME(), N'Updateability')) AS updateability, CHANGE_TRACKING_CURRENT_VERSION() AS current_version, CONVERT(int, SERVERPROPERTY(N'EngineEdition')) AS engine_edition, HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CREATE TABLE') AS may_create_tables, HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CREATE SCHEMA') AS may_create_schema;
SELECT d.snapshot_isolation_state, d.is_read_committed_snapshot_on, d.compatibility_level FROM sys.databases AS d WHERE d.database_id = DB_ID();
SELECT d.is_auto_cleanup_on, d.retention_period, d.retention_period_units_desc FROM sys.change_tracking_databases AS d WHERE d.database_id = DB_ID();
SELECT ${tables.map((table, index) => `OBJECT_ID(${table}) AS id${index}`).join(', ')};
SELECT ${tables.map((table, index) => `HAS_PERMS_BY_NAME(${table}, N'OBJECT', N'UPDATE') AS may${index}`).join(', ')};
SELECT c.object_id, c.name FROM sys.columns AS c WHERE c.object_id IN (${tables.map((table) => `OBJECT_ID(${table})`).join(', ')});`,
    parameters: [],
  };
}
