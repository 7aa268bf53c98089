import { type SqlValue } from '../../../seam.js';
import { assertAllowedOnDatabase, isVisible } from '../../security/permissions.js';
import { type Column, type Index } from '../../storage/column.js';
import { type Database } from '../../storage/database.js';
import { type Table } from '../../storage/table.js';
import { formatMoment, fromMilliseconds } from '../../values/date-time.js';
import { shape, type TypeName } from '../../values/value-type.js';
import { type Run } from '../compile/frame.js';
import { type CatalogView } from './catalog.js';
import { schemaId, TYPE_IDS, typeIdOf } from './catalog-ids.js';
import { viewColumns } from './view-columns.js';

const COLLATION = 'SQL_Latin1_General_CP1_CI_AS';
/** Of each kind that the engine tells apart, one. */
const COLLATIONS = { ci: COLLATION, cs: 'SQL_Latin1_General_CP1_CS_AS', bin: 'Latin1_General_100_BIN2' } as const;

const FIXED_BYTES: Readonly<Partial<Record<TypeName, number>>> = {
  bit: 1,
  tinyint: 1,
  smallint: 2,
  int: 4,
  bigint: 8,
  real: 4,
  float: 8,
  money: 8,
  date: 3,
  smalldatetime: 4,
  datetime: 8,
  uniqueidentifier: 16,
  rowversion: 8,
  datetime2: 8,
  datetimeoffset: 10,
  time: 5,
  decimal: 9,
};

/** The views in schema `sys` that are asked for; what the user may not see is not in them. */
export const SYSTEM_VIEWS: Readonly<Record<string, CatalogView>> = {
  databases: {
    columns: viewColumns(
      'name name, database_id int, collation_name name, snapshot_isolation_state tinyint, snapshot_isolation_state_desc word, is_read_committed_snapshot_on bit, is_read_only bit, state tinyint, state_desc word, compatibility_level tinyint, recovery_model_desc word',
    ),
    rows: ({ session }) =>
      session.server
        .databases()
        .map((one) => [
          one.name,
          BigInt(one.id),
          COLLATION,
          one.allowSnapshotIsolation ? 1n : 0n,
          one.allowSnapshotIsolation ? 'ON' : 'OFF',
          one.readCommittedSnapshot,
          one.role !== 'primary',
          0n,
          'ONLINE',
          BigInt(one.compatibilityLevel),
          'FULL',
        ]),
  },
  sysdatabases: {
    columns: viewColumns('name name, dbid smallint'),
    rows: ({ session }) => session.server.databases().map(({ name, id }) => [name, BigInt(id)]),
  },
  schemas: {
    columns: viewColumns('name name, schema_id int, principal_id int'),
    rows: (_run, database) => database.schemas.map((name) => [name, schemaId(database, name), 1n]),
  },
  objects: {
    columns: viewColumns(
      'name name, object_id int, schema_id int, parent_object_id int, type word, type_desc word, is_ms_shipped bit, modify_date datetime',
    ),
    rows: (run, database) =>
      visible(run, database).map((table) => [
        table.name,
        BigInt(table.id),
        schemaId(database, table.schema),
        0n,
        'U ',
        'USER_TABLE',
        false,
        modifiedAt(table),
      ]),
  },
  tables: {
    columns: viewColumns(
      'name name, object_id int, schema_id int, type word, type_desc word, is_ms_shipped bit, modify_date datetime, temporal_type tinyint',
    ),
    rows: (run, database) =>
      visible(run, database).map((table) => [
        table.name,
        BigInt(table.id),
        schemaId(database, table.schema),
        'U ',
        'USER_TABLE',
        false,
        modifiedAt(table),
        0n,
      ]),
  },
  columns: {
    columns: viewColumns(
      'object_id int, name name, column_id int, system_type_id tinyint, user_type_id int, max_length smallint, precision tinyint, scale tinyint, collation_name name, is_nullable bit, is_identity bit, is_computed bit, default_object_id int',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.columns.map((column) => [BigInt(table.id), ...columnRow(column)]),
      ),
  },
  types: {
    columns: viewColumns('name name, system_type_id tinyint, user_type_id int, schema_id int, is_user_defined bit'),
    rows: () =>
      Object.entries(TYPE_IDS).map(([name, id]) => [
        name === 'rowversion' ? 'timestamp' : name,
        BigInt(id),
        BigInt(id),
        4n,
        false,
      ]),
  },
  indexes: {
    columns: viewColumns(
      'object_id int, name name, index_id int, type tinyint, type_desc word, is_unique bit, is_primary_key bit, is_unique_constraint bit, filter_definition text',
    ),
    rows: (run, database) =>
      indexRows(run, database, (index) => [
        index.name,
        BigInt(index.id),
        index.kind === 'primary key' ? 1n : 2n,
        index.kind === 'primary key' ? 'CLUSTERED' : 'NONCLUSTERED',
        index.kind !== 'index',
        index.kind === 'primary key',
        index.kind === 'unique constraint',
        null,
      ]),
  },
  index_columns: {
    columns: viewColumns(
      'object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, is_descending_key bit, is_included_column bit',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.indexes.flatMap((index) =>
          index.columns.map((at, place) => [
            BigInt(table.id),
            BigInt(index.id),
            BigInt(place + 1),
            BigInt((table.columns[at] as Column).id),
            BigInt(place + 1),
            false,
            false,
          ]),
        ),
      ),
  },
  key_constraints: {
    columns: viewColumns(
      'name name, object_id int, schema_id int, parent_object_id int, type word, type_desc word, unique_index_id int',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.indexes
          .filter(({ kind }) => kind === 'primary key' || kind === 'unique constraint')
          .map((index) => [
            index.name,
            BigInt(table.id + index.id),
            schemaId(database, table.schema),
            BigInt(table.id),
            index.kind === 'primary key' ? 'PK' : 'UQ',
            index.kind === 'primary key' ? 'PRIMARY_KEY_CONSTRAINT' : 'UNIQUE_CONSTRAINT',
            BigInt(index.id),
          ]),
      ),
  },
  identity_columns: {
    columns: viewColumns('object_id int, name name, column_id int, last_value bigint'),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.columns
          .filter(({ identity }) => identity !== undefined)
          .map(({ name, id }) => [BigInt(table.id), name, BigInt(id), table.nextIdentity - 1n]),
      ),
  },
  default_constraints: {
    columns: viewColumns(
      'name name, object_id int, schema_id int, parent_object_id int, parent_column_id int, definition text',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap((table) =>
        table.columns.flatMap((column) =>
          column.default === undefined
            ? []
            : [
                [
                  column.default.constraint,
                  BigInt(table.id + 1_000 + column.id),
                  schemaId(database, table.schema),
                  BigInt(table.id),
                  BigInt(column.id),
                  `(${column.default.text})`,
                ],
              ],
        ),
      ),
  },
  computed_columns: {
    columns: viewColumns('object_id int, name name, column_id int, definition text, is_persisted bit'),
    rows: () => [],
  },
  check_constraints: {
    columns: viewColumns('name name, object_id int, schema_id int, parent_object_id int, definition text'),
    rows: () => [],
  },
  foreign_keys: {
    columns: viewColumns(
      'name name, object_id int, schema_id int, parent_object_id int, referenced_object_id int, delete_referential_action_desc word, update_referential_action_desc word',
    ),
    rows: () => [],
  },
  foreign_key_columns: {
    columns: viewColumns(
      'constraint_object_id int, constraint_column_id int, parent_object_id int, parent_column_id int, referenced_object_id int, referenced_column_id int',
    ),
    rows: () => [],
  },
  change_tracking_databases: {
    columns: viewColumns(
      'database_id int, is_auto_cleanup_on tinyint, retention_period int, retention_period_units tinyint, retention_period_units_desc word',
    ),
    rows: ({ session }) =>
      session.server
        .databases()
        .filter(({ changeTracking }) => changeTracking.enabled)
        .map(({ id, changeTracking: { autoCleanup, retention } }) => [
          BigInt(id),
          autoCleanup ? 1n : 0n,
          BigInt(retention.period),
          BigInt(['minutes', 'hours', 'days'].indexOf(retention.unit) + 1),
          retention.unit.toUpperCase(),
        ]),
  },
  change_tracking_tables: {
    columns: viewColumns(
      'object_id int, is_track_columns_updated_on bit, min_valid_version bigint, begin_version bigint, cleanup_version bigint',
    ),
    rows: (run, database) =>
      visible(run, database).flatMap(({ id, tracking }) =>
        tracking === undefined
          ? []
          : [
              [
                BigInt(id),
                tracking.tracksColumns,
                tracking.minValidVersion,
                tracking.beginVersion,
                tracking.cleanupVersion,
              ],
            ],
      ),
  },
  dm_tran_commit_table: {
    columns: viewColumns(
      'commit_ts bigint, xdes_id bigint, commit_lbn bigint, commit_csn bigint, commit_time datetime',
    ),
    rows: (run, database) => {
      assertAllowedOnDatabase(run.session, 'VIEW DATABASE STATE', database);
      return database.changeTracking.commits.map(({ version, committedAtMs }) => [
        version,
        version + 1_000n,
        version,
        version,
        asDateTime(committedAtMs),
      ]);
    },
  },
  database_recovery_status: {
    columns: viewColumns(
      'database_id int, database_guid guid, family_guid guid, recovery_fork_guid guid, first_recovery_fork_guid guid',
    ),
    rows: ({ session }) =>
      session.server
        .databases()
        .filter((one) => session.isAdministrator || one.grants.has(session.user, 'ALTER'))
        .map((one) => [BigInt(one.id), null, null, one.recoveryFork, one.recoveryFork]),
  },
};

function visible({ session }: Run, database: Database): readonly Table[] {
  return database.tables.filter((table) => isVisible(session, table));
}

function indexRows(
  run: Run,
  database: Database,
  row: (index: Index) => readonly SqlValue[],
): readonly (readonly SqlValue[])[] {
  return visible(run, database).flatMap((table) => table.indexes.map((index) => [BigInt(table.id), ...row(index)]));
}

function columnRow(column: Column): readonly SqlValue[] {
  const { type } = column;
  const text = type.name.endsWith('char');
  const bytes = type.length === 'max' ? -1 : (type.length ?? 0) * (type.name.startsWith('n') ? 2 : 1);
  const exact = ['tinyint', 'smallint', 'int', 'bigint', 'decimal', 'money'].includes(type.name)
    ? shape(type)
    : undefined;
  const id = typeIdOf(type);
  return [
    column.name,
    BigInt(column.id),
    id,
    id,
    BigInt(FIXED_BYTES[type.name] ?? bytes),
    BigInt(exact?.precision ?? 0),
    BigInt(exact?.scale ?? type.scale ?? 0),
    text ? COLLATIONS[type.collation ?? 'ci'] : null,
    type.nullable,
    column.identity !== undefined,
    false,
    column.default === undefined ? 0n : BigInt(column.id + 1_000),
  ];
}

/** TRUNCATE TABLE leaves it as it is. */
function modifiedAt({ modifiedAtMs }: Table): SqlValue {
  return asDateTime(modifiedAtMs);
}

function asDateTime(atMs: number): SqlValue {
  return formatMoment(fromMilliseconds(atMs), { name: 'datetime', nullable: false });
}
