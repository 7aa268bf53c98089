import { createHash } from 'node:crypto';
import { PrimaryKeyMissingError, TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import { bigintIn, firstOf, optionalBigintIn, optionalTextIn, setOf, textIn, truthIn } from '../pool/cells.js';
import type { SqlServerAnswer, SqlServerRow } from '../pool/sql-server.pool.js';
import {
  ChangeTrackingOffError,
  ColumnNotFoundError,
  ColumnTypeError,
  SecondaryReplicaError,
  SqlServerAnswerError,
  TableNotPermittedError,
} from '../sql-server.errors.js';
import type { ColumnKind, SqlServerColumn, SqlServerKeyColumn } from '../statements/column-sql.js';
import type { ReadableTable } from '../statements/read-changes.js';

/** A table as it is now. */
export interface SqlServerTable extends ReadableTable {
  readonly objectId: string;
  readonly schemaHash: string;
  /** Whether the database lets transactions run under SNAPSHOT. */
  readonly snapshotAllowed: boolean;
}

/** What the caller wants of a table. */
export interface ShapeRequest {
  readonly table: string;
  /** Names the database in errors. */
  readonly source: string;
  /** The columns to read; `undefined` = all. The key is read anyway. */
  readonly columns: readonly string[] | undefined;
}

/**
 * The table that an answer of `describeTable` tells of.
 *
 * @throws TableNotFoundError, TableNotTrackedError, TableNotPermittedError, ChangeTrackingOffError, SecondaryReplicaError,
 * PrimaryKeyMissingError, ColumnTypeError, ColumnNotFoundError: each of them needs another remedy, and for SQL Server all are the same NULL.
 */
export function shapeOf(answer: SqlServerAnswer, request: ShapeRequest): SqlServerTable {
  const { table, source } = request;
  const about = firstOf(answer, 0) ?? [];
  const objectId = optionalBigintIn(about, 0);
  if (optionalTextIn(about, 4) === 'READ_ONLY') {
    throw new SecondaryReplicaError(source);
  }
  if (optionalBigintIn(about, 1) === null) {
    throw new ChangeTrackingOffError(source);
  }
  if (objectId === null) {
    throw new TableNotFoundError(table, source);
  }
  const missing = [...(truthIn(about, 2) ? [] : ['SELECT']), ...(truthIn(about, 3) ? [] : ['VIEW CHANGE TRACKING'])];
  if (missing.length > 0) {
    throw new TableNotPermittedError(table, source, missing);
  }
  const tracking = firstOf(answer, 2);
  if (tracking === undefined) {
    throw new TableNotTrackedError(table, source, `Run ALTER TABLE ${table} ENABLE CHANGE_TRACKING.`);
  }
  const all = setOf(answer, 3);
  const keyRows = setOf(answer, 4);
  if (keyRows.length === 0) {
    throw new PrimaryKeyMissingError(table, source);
  }
  const keyIds = new Set(keyRows.map((row) => bigintIn(row, 0)));
  const wanted = all.filter(
    (row) => keyIds.has(bigintIn(row, 0)) || request.columns === undefined || request.columns.includes(textIn(row, 1)),
  );
  const unknown = request.columns?.find((name) => !all.some((row) => textIn(row, 1) === name));
  if (unknown !== undefined) {
    const names = all.map((row) => textIn(row, 1));
    throw new ColumnNotFoundError(table, unknown, names);
  }
  const columns = wanted.map((row) => columnOf(table, row));
  const key = keyRows.map((row) => keyColumnOf(table, columns, row));
  const masked = truthIn(tracking, 0) ? wanted.filter((row) => !keyIds.has(bigintIn(row, 0)) && !truthIn(row, 6)) : [];
  return {
    table,
    objectId: objectId.toString(),
    columns,
    key,
    maskColumnIds: masked.map((row) => Number(bigintIn(row, 0))),
    schemaHash: hashOf(columns, key),
    snapshotAllowed: truthIn(firstOf(answer, 1) ?? [], 0),
  };
}

function keyColumnOf(table: string, columns: readonly SqlServerColumn[], row: SqlServerRow): SqlServerKeyColumn {
  const id = Number(bigintIn(row, 0));
  const column = columns.find((one) => one.id === id);
  if (column === undefined) {
    throw new SqlServerAnswerError(`the key of "${table}" names column ${id}, which the table has not`);
  }
  return { ...column, descending: truthIn(row, 1) };
}

function columnOf(table: string, row: SqlServerRow): SqlServerColumn {
  const name = textIn(row, 1);
  const type = optionalTextIn(row, 2) ?? 'unknown';
  const known = TYPES[type];
  if (known === undefined) {
    throw new ColumnTypeError(table, name, type);
  }
  const collation = optionalTextIn(row, 7);
  const [kind, declare] = known;
  const size = {
    bytes: Number(bigintIn(row, 3)),
    precision: Number(bigintIn(row, 4)),
    scale: Number(bigintIn(row, 5)),
  };
  return {
    id: Number(bigintIn(row, 0)),
    name,
    declaredType: declare(type, size),
    kind,
    collation: collation !== null && /^\w+$/.test(collation) ? collation : null,
  };
}

interface Size {
  readonly bytes: number;
  readonly precision: number;
  readonly scale: number;
}
type Declare = (type: string, size: Size) => string;

const bare: Declare = (type) => type;
const sized: Declare = (type, { bytes }) => `${type}(${bytes === -1 ? 'max' : bytes})`;
const wide: Declare = (type, { bytes }) => `${type}(${bytes === -1 ? 'max' : bytes / 2})`;
const exact: Declare = (type, { precision, scale }) => `${type}(${precision},${scale})`;
const scaled: Declare = (type, { scale }) => `${type}(${scale})`;

/** Every type that can be carried. Missing are sql_variant, hierarchyid, geometry, geography, json, vector: their values have no plain text. */
const TYPES: Readonly<Record<string, readonly [ColumnKind, Declare] | undefined>> = Object.freeze({
  bit: ['bit', bare],
  tinyint: ['integer', bare],
  smallint: ['integer', bare],
  int: ['integer', bare],
  bigint: ['bigint', bare],
  decimal: ['decimal', exact],
  numeric: ['decimal', exact],
  money: ['money', bare],
  smallmoney: ['money', bare],
  float: ['float', bare],
  real: ['real', bare],
  char: ['text', sized],
  varchar: ['text', sized],
  text: ['text', () => 'varchar(max)'],
  nchar: ['text', wide],
  nvarchar: ['text', wide],
  ntext: ['text', () => 'nvarchar(max)'],
  date: ['date', bare],
  time: ['time', scaled],
  smalldatetime: ['instant', bare],
  datetime: ['instant', bare],
  datetime2: ['instant', scaled],
  datetimeoffset: ['offsetInstant', scaled],
  uniqueidentifier: ['uuid', bare],
  binary: ['binary', sized],
  varbinary: ['binary', sized],
  image: ['binary', () => 'varbinary(max)'],
  timestamp: ['binary', () => 'binary(8)'],
  xml: ['xml', bare],
});

/** Whether values of a type can be carried. */
export function isReadableType(type: string): boolean {
  return TYPES[type] !== undefined;
}

/** Changes when columns, their types or the key change; also when a column was dropped and added again, whose values changed untracked. */
function hashOf(columns: readonly SqlServerColumn[], key: readonly SqlServerKeyColumn[]): string {
  return createHash('sha256')
    .update(
      JSON.stringify([
        columns.map(({ id, name, declaredType }) => [id, name, declaredType]),
        key.map(({ id, descending }) => [id, descending]),
      ]),
    )
    .digest('base64url')
    .slice(0, 22);
}
