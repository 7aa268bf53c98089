import { type SqlValue } from '../../../seam.js';
import { invalidArgument } from '../../errors/value-faults.js';
import { type Permission, PERMISSIONS } from '../../security/grants.js';
import { assertPrimary, isAllowed, isAllowedOnDatabase, isVisible } from '../../security/permissions.js';
import { type Database } from '../../storage/database.js';
import { type Table } from '../../storage/table.js';
import { isColumnInMask } from '../../tracking/column-mask.js';
import { BIGINT, BIT, INT, nvarchar } from '../../values/value-type.js';
import { type Run } from '../compile/frame.js';
import { schemaId, typeNameOf } from '../catalog/catalog-ids.js';
import { plain, type ScalarFunction, strict } from './scalar-function.js';

const SYSNAME = nvarchar(128);
/** The value of a sql_variant: this engine tells them as text or int. */
const PROPERTY = nvarchar(256);

/** Functions over what is in the catalog. What a user may not see is NULL, as in SQL Server. */
export const CATALOG_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  object_id: {
    ...strict([1, 2], INT, ([name], { run }) => {
      const table = visibleTable(run, String(name));
      return table === undefined ? null : BigInt(table.id);
    }),
    once: true,
  },
  object_name: strict([1, 2], SYSNAME, ([id, database], { run }) => tableById(run, id, database)?.name ?? null),
  object_schema_name: strict(
    [1, 2],
    SYSNAME,
    ([id, database], { run }) => tableById(run, id, database)?.schema ?? null,
  ),
  schema_name: plain([0, 1], SYSNAME, ({ values, run }) => {
    const [id] = values;
    if (id === undefined) {
      return 'dbo';
    }
    return run.session.database.schemas.find((name) => schemaId(run.session.database, name) === id) ?? null;
  }),
  schema_id: plain([0, 1], INT, ({ values, run }) => {
    const name = String(values[0] ?? 'dbo').toLowerCase();
    const known = run.session.database.schemas.find((one) => one.toLowerCase() === name);
    return known === undefined ? null : schemaId(run.session.database, known);
  }),
  db_id: plain([0, 1], INT, ({ values, run }) => {
    const { database, server } = run.session;
    const named = values.length === 0 ? database : server.findDatabase(String(values[0]));
    return named === undefined ? null : BigInt(named.id);
  }),
  db_name: plain([0, 1], SYSNAME, ({ values, run }) => {
    const { database, server } = run.session;
    return values.length === 0
      ? database.name
      : (server.databases().find(({ id }) => BigInt(id) === values[0])?.name ?? null);
  }),
  col_name: strict(
    2,
    SYSNAME,
    ([id, column], { run }) => tableById(run, id)?.columns.find((one) => BigInt(one.id) === column)?.name ?? null,
  ),
  type_name: strict(1, SYSNAME, ([id]) => typeNameOf(id as bigint)),
  columnproperty: strict(3, INT, ([id, name, property], { run }) => {
    const column = tableById(run, id)?.columns.find((one) => same(one.name, name));
    if (column === undefined) {
      return null;
    }
    const values: Readonly<Record<string, boolean | number>> = {
      columnid: column.id,
      allowsnull: column.type.nullable,
      isidentity: column.identity !== undefined,
      iscomputed: false,
      precision: column.type.precision ?? (typeof column.type.length === 'number' ? column.type.length : 0),
      scale: column.type.scale ?? 0,
    };
    return flag(values[String(property).toLowerCase()]);
  }),
  objectproperty: strict(2, INT, ([id, property], { run }) => {
    const table = tableById(run, id);
    if (table === undefined) {
      return null;
    }
    const values: Readonly<Record<string, boolean>> = {
      ismsshipped: false,
      isusertable: true,
      istable: true,
      isview: false,
      tablehasprimarykey: table.primaryKey !== undefined,
      tablehasidentity: table.columns.some(({ identity }) => identity !== undefined),
      tablehaschangetracking: table.tracking !== undefined,
    };
    return flag(values[String(property).toLowerCase()]);
  }),
  databasepropertyex: strict(2, PROPERTY, ([name, property], { run }) => {
    const database = run.session.server.findDatabase(String(name));
    const values: Readonly<Record<string, (one: Database) => string>> = {
      updateability: ({ role }) => (role === 'primary' ? 'READ_WRITE' : 'READ_ONLY'),
      status: () => 'ONLINE',
      collation: () => 'SQL_Latin1_General_CP1_CI_AS',
      recovery: () => 'FULL',
      useraccess: () => 'MULTI_USER',
      version: () => '957',
    };
    return database === undefined ? null : (values[String(property).toLowerCase()]?.(database) ?? null);
  }),
  serverproperty: strict(
    1,
    PROPERTY,
    ([property], { run }) => SERVER_PROPERTIES[String(property).toLowerCase()]?.(run) ?? null,
  ),
  connectionproperty: strict(1, PROPERTY, ([property]) =>
    String(property).toLowerCase() === 'net_transport' ? 'TCP' : null,
  ),
  has_perms_by_name: plain([3, 5], INT, ({ values, run }) => hasPermission(run, values)),
  has_dbaccess: strict(1, INT, ([name], { run }) => {
    const database = run.session.server.findDatabase(String(name));
    return database === undefined
      ? null
      : flag(run.session.isAdministrator || database.grants.users.has(run.session.user.toLowerCase()));
  }),
  user_name: plain([0, 1], SYSNAME, ({ run }) => userName(run)),
  current_user: plain(0, SYSNAME, ({ run }) => userName(run)),
  session_user: plain(0, SYSNAME, ({ run }) => userName(run)),
  user: plain(0, SYSNAME, ({ run }) => userName(run)),
  system_user: plain(0, SYSNAME, ({ run }) => run.session.user),
  suser_sname: plain([0, 1], SYSNAME, ({ run }) => run.session.user),
  suser_name: plain([0, 1], SYSNAME, ({ run }) => run.session.user),
  original_login: plain(0, SYSNAME, ({ run }) => run.session.user),
  is_srvrolemember: strict([1, 2], INT, (_values, { run }) => flag(run.session.isAdministrator)),
  is_member: strict(1, INT, ([role], { run }) => flag(isMember(run, String(role)))),
  is_rolemember: strict([1, 2], INT, ([role], { run }) => flag(isMember(run, String(role)))),
  app_name: plain(0, SYSNAME, ({ run }) => run.session.application),
  host_name: plain(0, SYSNAME, ({ run }) => run.session.host),
  ident_current: strict(1, BIGINT, ([name], { run }) => {
    const table = visibleTable(run, String(name));
    const identity = table?.columns.find((column) => column.identity !== undefined)?.identity;
    return table === undefined || identity === undefined ? null : table.nextIdentity - identity.increment;
  }),
};

/** The functions of change tracking that are no tables. */
export const TRACKING_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  change_tracking_current_version: plain(0, BIGINT, ({ run }) => {
    const { database } = run.session;
    assertPrimary(database);
    if (!database.changeTracking.enabled) {
      return null;
    }
    // Reading the counter does not begin a snapshot; one that has begun tells its own.
    return run.transaction.snapshot?.versions.get(database) ?? database.changeTracking.version;
  }),
  change_tracking_min_valid_version: strict(1, BIGINT, ([id], { run }) => {
    assertPrimary(run.session.database);
    const table = tableById(run, id);
    const allowed =
      table !== undefined &&
      isAllowed(run.session, 'VIEW CHANGE TRACKING', table) &&
      run.session.database.changeTracking.enabled;
    return allowed ? (table.tracking?.minValidVersion ?? null) : null;
  }),
  change_tracking_is_column_in_mask: plain(2, BIT, ({ values: [id, mask], types }) => {
    const [, type] = types;
    if (type !== undefined && type.untypedNull !== true && type.name !== 'varbinary' && type.name !== 'binary') {
      throw invalidArgument(type.name, 2, 'change_tracking_is_column_in_mask');
    }
    return id === null || id === undefined ? null : isColumnInMask(Number(id), mask as Uint8Array | null);
  }),
};

const VERSION = '17.0.1000.7';

/** `@@VERSION`. */
export const VERSION_TEXT = `Microsoft SQL Server 2025 (RTM) - ${VERSION} (X64)  - test engine in memory`;

const SERVER_PROPERTIES: Readonly<Record<string, (run: Run) => SqlValue>> = {
  productversion: ({ session }) => session.server.product.version,
  productmajorversion: ({ session }) => session.server.product.version.split('.')[0] ?? null,
  productminorversion: ({ session }) => session.server.product.version.split('.')[1] ?? null,
  productlevel: () => 'RTM',
  edition: () => 'Developer Edition (64-bit)',
  engineedition: ({ session }) => String(session.server.product.engineEdition),
  servername: ({ session }) => session.server.name,
  machinename: ({ session }) => session.server.name,
  collation: () => 'SQL_Latin1_General_CP1_CI_AS',
  ishadrenabled: ({ session }) => String(flag(session.database.role !== 'primary')),
  isclustered: () => '0',
};

/** The table of that name, if the user may see it. */
export function visibleTable({ session }: Run, written: string): Table | undefined {
  const table = session.database.findByName(written);
  return table !== undefined && isVisible(session, table) ? table : undefined;
}

function tableById(run: Run, id: SqlValue | undefined, databaseId?: SqlValue): Table | undefined {
  const { database, server } = run.session;
  const from = databaseId === undefined ? database : server.databases().find((one) => BigInt(one.id) === databaseId);
  const table = from?.tables.find((one) => BigInt(one.id) === id);
  return table !== undefined && isVisible(run.session, table) ? table : undefined;
}

function hasPermission(run: Run, [securable, kind, permission]: readonly SqlValue[]): SqlValue {
  const wanted = PERMISSIONS.find((one) => same(one, permission));
  if (wanted === undefined && !same('ANY', permission)) {
    return null;
  }
  const isDatabase = kind !== null && same('DATABASE', kind);
  if (securable === null || isDatabase) {
    return flag(wanted === undefined || isAllowedOnDatabase(run.session, wanted, run.session.database));
  }
  const table = visibleTable(run, String(securable));
  if (table === undefined) {
    return null;
  }
  return flag(wanted === undefined || isAllowed(run.session, wanted satisfies Permission, table));
}

function isMember({ session }: Run, role: string): boolean {
  return (
    session.isAdministrator || (role.toLowerCase() === 'db_owner' && session.database.grants.isOwner(session.user))
  );
}

function userName({ session }: Run): string {
  return session.isAdministrator ? 'dbo' : session.user;
}

function same(name: string, value: SqlValue | undefined): boolean {
  return name.toLowerCase() === String(value).toLowerCase();
}

function flag(value: boolean | number | undefined): bigint | null {
  return value === undefined ? null : BigInt(Number(value));
}
