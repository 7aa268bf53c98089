import { type SqlValue } from '../../../seam.js';
import { isVisible } from '../../security/permissions.js';
import { type Column } from '../../storage/column.js';
import { type Database } from '../../storage/database.js';
import { type Table } from '../../storage/table.js';
import { shape } from '../../values/value-type.js';
import { type Run } from '../compile/frame.js';
import { type CatalogView } from './catalog.js';
import { catalogName } from './catalog-ids.js';
import { viewColumns } from './view-columns.js';

/** The views of INFORMATION_SCHEMA that tools ask for. */
export const INFORMATION_SCHEMA: Readonly<Record<string, CatalogView>> = {
  tables: {
    columns: viewColumns('TABLE_CATALOG name, TABLE_SCHEMA name, TABLE_NAME name, TABLE_TYPE word'),
    rows: (run, database) => visible(run, database).map((table) => [...nameOf(table), 'BASE TABLE']),
  },
  columns: {
    columns: viewColumns(
      'TABLE_CATALOG name, TABLE_SCHEMA name, TABLE_NAME name, COLUMN_NAME name, ORDINAL_POSITION int, COLUMN_DEFAULT text, IS_NULLABLE word, DATA_TYPE name, CHARACTER_MAXIMUM_LENGTH int, CHARACTER_OCTET_LENGTH int, NUMERIC_PRECISION tinyint, NUMERIC_SCALE int, DATETIME_PRECISION smallint, CHARACTER_SET_NAME name, COLLATION_NAME name',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.columns.map((column, at) => [...nameOf(table), column.name, BigInt(at + 1), ...columnRow(column)]),
      ),
  },
  table_constraints: {
    columns: viewColumns(
      'CONSTRAINT_CATALOG name, CONSTRAINT_SCHEMA name, CONSTRAINT_NAME name, TABLE_CATALOG name, TABLE_SCHEMA name, TABLE_NAME name, CONSTRAINT_TYPE word',
    ),
    rows: (run, database) =>
      keys(run, database).map(({ table, name, primary }) => [
        database.name,
        table.schema,
        name,
        ...nameOf(table),
        primary ? 'PRIMARY KEY' : 'UNIQUE',
      ]),
  },
  constraint_column_usage: {
    columns: viewColumns(
      'TABLE_CATALOG name, TABLE_SCHEMA name, TABLE_NAME name, COLUMN_NAME name, CONSTRAINT_CATALOG name, CONSTRAINT_SCHEMA name, CONSTRAINT_NAME name',
    ),
    rows: (run, database) =>
      keys(run, database).flatMap(({ table, name, columns }) =>
        columns.map((column) => [...nameOf(table), column.name, database.name, table.schema, name]),
      ),
  },
  key_column_usage: {
    columns: viewColumns(
      'CONSTRAINT_CATALOG name, CONSTRAINT_SCHEMA name, CONSTRAINT_NAME name, TABLE_CATALOG name, TABLE_SCHEMA name, TABLE_NAME name, COLUMN_NAME name, ORDINAL_POSITION int',
    ),
    rows: (run, database) =>
      keys(run, database).flatMap(({ table, name, columns }) =>
        columns.map((column, at) => [database.name, table.schema, name, ...nameOf(table), column.name, BigInt(at + 1)]),
      ),
  },
};

function visible({ session }: Run, database: Database): readonly Table[] {
  return database.tables.filter((table) => isVisible(session, table));
}

function keys(run: Run, database: Database) {
  return visible(run, database).flatMap((table) =>
    table.indexes
      .filter(({ kind }) => kind === 'primary key' || kind === 'unique constraint')
      .map(({ name, kind, columns }) => ({
        table,
        name,
        primary: kind === 'primary key',
        columns: columns.map((at) => table.columns[at] as Column),
      })),
  );
}

function nameOf({ database, schema, name }: Table): readonly SqlValue[] {
  return [database.name, schema, name];
}

function columnRow({ type, default: fallback }: Column): readonly SqlValue[] {
  const sized = type.length !== undefined;
  const length = type.length === 'max' ? -1n : BigInt(type.length ?? 0);
  const number = ['tinyint', 'smallint', 'int', 'bigint', 'decimal', 'money'].includes(type.name)
    ? shape(type)
    : undefined;
  const text = type.name.endsWith('char');
  return [
    fallback === undefined ? null : `(${fallback.text})`,
    type.nullable ? 'YES' : 'NO',
    catalogName(type),
    sized ? length : null,
    sized ? (length < 0n ? length : length * (type.name.startsWith('n') ? 2n : 1n)) : null,
    number === undefined ? null : BigInt(number.precision),
    number === undefined ? null : BigInt(number.scale),
    type.scale !== undefined && number === undefined ? BigInt(type.scale) : null,
    text ? (type.name.startsWith('n') ? 'UNICODE' : 'iso_1') : null,
    text ? 'SQL_Latin1_General_CP1_CI_AS' : null,
  ];
}
