import { projectionSql, type SqlServerColumn, type SqlServerKeyColumn } from './column-sql.js';
import { quoteName, quoteTable } from './identifier.js';
import { afterKeySql, keyOrderSql, keyParameters, sameKeySql } from './keyset.js';
import { big, int, session, type SqlServerStatement, type StatementLimits, text } from './statement.js';

/** What of a table the statements need to know. */
export interface ReadableTable {
  /** `schema.name`, as configured. */
  readonly table: string;
  readonly columns: readonly SqlServerColumn[];
  /** In the order of the key. Never empty. */
  readonly key: readonly SqlServerKeyColumn[];
  /** Ids of the columns whose bits are asked for; empty = masks are not read. */
  readonly maskColumnIds: readonly number[];
}

/** A page of changes. */
export interface ReadChanges extends StatementLimits {
  readonly table: ReadableTable;
  /** `SNAPSHOT`: everything from one snapshot. `READ COMMITTED`: where that is not allowed, with the checks around it. */
  readonly isolation: 'SNAPSHOT' | 'READ COMMITTED';
  /** The last version that is handed off whole. */
  readonly after: bigint;
  /** The place inside an unfinished version. */
  readonly cursor: { readonly version: bigint; readonly key: readonly string[] } | null;
  readonly limit: number;
  /** Makes the server seek in the side table instead of scanning it, by a text and so a plan of its own; needs 2016 SP2 CU16, 2017 CU24, 2019 CU11 or later. */
  readonly forceSeek: boolean;
  /** Where the epoch is kept. */
  readonly schema: string;
}

/** Aliases of what a page's rows begin with; the key follows as `k0`, `k1` …, then the row as `c0`, `c1` … */
export const PAGE_COLUMNS = Object.freeze(['version', 'operation', 'mask', 'context', 'present'] as const);

/**
 * A page of changes with the rows as they are now, in four answers: (version now, oldest valid version), the page, the table's tracking
 * state after it, the epoch.
 *
 * The keys come first, by TOP and the keyset cursor inside the version, and only they are joined with the table. A guard in SQL would be
 * none: for a table that is not tracked the server refuses the whole batch (22105) before any of it runs. The transaction ends with the
 * statement, because a snapshot that stays open keeps the server from cleaning up.
 */
export function readChanges(page: ReadChanges): SqlServerStatement {
  const { table, isolation, cursor, forceSeek } = page;
  const name = quoteTable(table.table);
  const snapshot = isolation === 'SNAPSHOT';
  const changes = `CHANGETABLE(CHANGES ${name}, @after${forceSeek ? ', FORCESEEK' : ''}) AS ct`;
  const where =
    cursor === null
      ? ''
      : `\n  WHERE ct.SYS_CHANGE_VERSION > @cursor OR (ct.SYS_CHANGE_VERSION = @cursor AND (${afterKeySql('ct', table.key)}))`;
  const sql = [
    session(isolation, page),
    snapshot ? 'BEGIN TRANSACTION;' : '',
    // Before any data: the snapshot begins with the first access, so the versions may be older than the rows, never newer. Of the oldest one
    // this is too little, so it is asked for again below.
    `SELECT CHANGE_TRACKING_CURRENT_VERSION() AS upper_version, CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@table)) AS min_valid_version;`,
    `SELECT p.version, p.operation, ${maskSql(table)} AS mask, p.context, CASE WHEN ${rowIsMissing(table)} THEN 0 ELSE 1 END AS present,
  ${[...keySql(table), ...rowSql(table)].join(', ')}
FROM (
  SELECT TOP (@limit) ct.SYS_CHANGE_VERSION AS version, ct.SYS_CHANGE_OPERATION AS operation, ct.SYS_CHANGE_COLUMNS AS columns_mask, ct.SYS_CHANGE_CONTEXT AS context, ${table.key
    .map((column) => `ct.${quoteName(column.name)}`)
    .join(', ')}
  FROM ${changes}${where}
  ORDER BY ct.SYS_CHANGE_VERSION, ${keyOrderSql('ct', table.key)}
) AS p
LEFT OUTER JOIN ${name} AS r ON ${sameKeySql('r', 'p', table.key)}
ORDER BY p.version, ${keyOrderSql('p', table.key)};`,
    snapshot ? 'COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;' : '',
    // Outside of the snapshot, where metadata may fail with 3961, and after the rows: a clean-up meanwhile shows.
    `SELECT t.object_id, t.begin_version, t.min_valid_version FROM sys.change_tracking_tables AS t WHERE t.object_id = OBJECT_ID(@table);`,
    `SELECT e.epoch FROM ${quoteName(page.schema)}.[cdc_epoch] AS e WHERE e.id = 1;`,
  ]
    .filter((part) => part !== '')
    .join('\n');
  return {
    name: snapshot ? 'readChanges' : 'readChangesCommitted',
    sql,
    parameters: [
      text('table', name),
      big('after', page.after),
      int('limit', page.limit),
      ...(cursor === null ? [] : [big('cursor', cursor.version), ...keyParameters(cursor.key)]),
    ],
  };
}

/** A chunk of the table itself. */
export interface ReadRows extends StatementLimits {
  readonly table: ReadableTable;
  readonly isolation: 'SNAPSHOT' | 'READ COMMITTED';
  /** The last key read; `null` = from the start. */
  readonly afterKey: readonly string[] | null;
  readonly limit: number;
}

/** Rows in the order of the key, in one statement of its own: a bootstrap holds no snapshot open. Columns as in a page: key, then row. */
export function readRows(chunk: ReadRows): SqlServerStatement {
  const { table, isolation, afterKey } = chunk;
  const where = afterKey === null ? '' : `\nWHERE ${afterKeySql('r', table.key)}`;
  return {
    name: 'readRows',
    sql: `${session(isolation, chunk)}
SELECT TOP (@limit) ${[...table.key.map((column, index) => `${projectionSql('r', column)} AS k${index}`), ...rowSql(table)].join(', ')}
FROM ${quoteTable(table.table)} AS r${where}
ORDER BY ${keyOrderSql('r', table.key)};`,
    parameters: [int('limit', chunk.limit), ...(afterKey === null ? [] : keyParameters(afterKey))],
  };
}

function keySql({ key }: ReadableTable): readonly string[] {
  return key.map((column, index) => `${projectionSql('p', column)} AS k${index}`);
}

function rowSql({ columns }: ReadableTable): readonly string[] {
  return columns.map((column, index) => `${projectionSql('r', column)} AS c${index}`);
}

function rowIsMissing({ key }: ReadableTable): string {
  return `r.${quoteName(key[0]?.name ?? '')} IS NULL`;
}

/** One text of 0 and 1 for all columns: the mask itself may only be read by the server's function. */
function maskSql({ maskColumnIds }: ReadableTable): string {
  if (maskColumnIds.length === 0) {
    return 'NULL';
  }
  const bits = maskColumnIds.map((id) => `CONVERT(char(1), CHANGE_TRACKING_IS_COLUMN_IN_MASK(${id}, p.columns_mask))`);
  return `CASE WHEN p.columns_mask IS NULL THEN NULL ELSE ${bits.join(' + ')} END`;
}
