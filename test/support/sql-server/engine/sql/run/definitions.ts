import { unsupported } from '../../errors/fault.js';
import {
  cannotAlter,
  cannotDrop,
  cannotGrant,
  cannotTruncate,
  columnExists,
  databasePermissionDenied,
  noSuchUser,
  nullableKey,
  permissionDenied,
  primaryKeyTracked,
  trackingNotAlone,
} from '../../errors/object-faults.js';
import { invalidColumn } from '../../errors/query-faults.js';
import { type Permission, PERMISSIONS, type Securable } from '../../security/grants.js';
import { assertWritable, isAllowed, isAllowedOnDatabase } from '../../security/permissions.js';
import { type Column, type Index } from '../../storage/column.js';
import { type Database } from '../../storage/database.js';
import { Table } from '../../storage/table.js';
import {
  changeTrackingSettings,
  disableDatabaseTracking,
  disableTableTracking,
  enableDatabaseTracking,
  enableTableTracking,
  truncate,
} from '../../tracking/tracking-administration.js';
import { convertValue } from '../../values/convert.js';
import { type Environment } from '../compile/environment.js';
import { ExpressionCompiler } from '../compile/expression.compiler.js';
import { newFrame, type Run } from '../compile/frame.js';
import { compileInnerQuery } from '../compile/query.compiler.js';
import { otherDatabase, resolveTable } from '../compile/resolve-table.js';
import { Scope } from '../compile/scope.js';
import {
  type ColumnDefinition,
  type DatabaseSetting,
  type Grant,
  type KeyDefinition,
  type Name,
  type StatementBody,
  type TableBody,
  type TableChange,
} from '../parse/ast.js';

type Definition = Extract<
  StatementBody,
  {
    readonly kind:
      | 'createTable'
      | 'createSchema'
      | 'createDatabase'
      | 'createUser'
      | 'createIndex'
      | 'dropDatabase'
      | 'dropTable'
      | 'dropIndex'
      | 'truncate'
      | 'alterTable'
      | 'alterDatabase'
      | 'grant';
  }
>;

const KINDS = [
  'createTable',
  'createSchema',
  'createDatabase',
  'createUser',
  'createIndex',
  'dropDatabase',
  'dropTable',
  'dropIndex',
  'truncate',
  'alterTable',
  'alterDatabase',
  'grant',
];

export function isDefinition(statement: StatementBody): statement is Definition {
  return KINDS.includes(statement.kind);
}

/** Statements that change what there is, not what is in it. */
export function define(statement: Definition, run: Run, environment: Environment): void {
  const { session } = run;
  const { database } = session;
  const { transactions } = session.server;
  switch (statement.kind) {
    case 'createTable':
      assertMayCreate(run, 'CREATE TABLE');
      createTable(statement.name, statement.body, run, environment);
      break;
    case 'createSchema':
      assertMayCreate(run, 'CREATE SCHEMA');
      database.createSchema(statement.name);
      break;
    case 'createDatabase':
      session.server.createDatabase(statement.name);
      break;
    case 'dropDatabase':
      statement.names.forEach((name) => dropDatabase(name, statement.ifExists, run));
      break;
    case 'createUser':
      database.grants.addUser(statement.name);
      break;
    case 'createIndex': {
      const table = alterable(statement.table, run, environment);
      const { name, unique, columns } = statement;
      addIndex(table, { name, kind: unique ? 'unique index' : 'index', columns }, run);
      break;
    }
    case 'dropTable':
      statement.names.forEach((name) => dropTable(name, statement.ifExists, run, environment));
      break;
    case 'dropIndex': {
      const table = alterable(statement.table, run, environment);
      const named = table.indexes.find(({ name }) => name.toLowerCase() === statement.name.toLowerCase());
      if (named === undefined && !statement.ifExists) {
        throw cannotDrop('index', statement.name);
      }
      table.indexes = table.indexes.filter((one) => one !== named);
      break;
    }
    case 'truncate': {
      const table = resolveTable(statement.name, environment);
      if (table === undefined || !isAllowed(session, 'ALTER', table)) {
        throw cannotTruncate(statement.name.join('.'));
      }
      assertWritable(database);
      transactions.locks.acquire(run.transaction, table, 'X');
      truncate(table);
      table.schemaSequence = transactions.nextSequence();
      break;
    }
    case 'alterTable': {
      const table = alterable(statement.name, run, environment);
      transactions.locks.acquire(run.transaction, table, 'X');
      alterTable(table, statement.change, run, environment);
      table.schemaSequence = transactions.nextSequence();
      table.modifiedAtMs = transactions.clock.now();
      break;
    }
    case 'alterDatabase': {
      const target = statement.name === undefined ? database : otherDatabase(statement.name, session);
      if (!session.isAdministrator && !target.grants.has(session.user, 'ALTER')) {
        throw databasePermissionDenied('ALTER DATABASE', target.name);
      }
      alterDatabase(target, statement.settings);
      if (statement.settings.some(({ kind }) => kind === 'singleUser')) {
        session.server.endSessions(target.name, session);
      }
      break;
    }
    case 'grant':
      grant(statement, run, environment);
      break;
  }
  transactions.nextSequence();
}

/** A table variable: as a table, but of nobody else. */
export function makeTableVariable(name: string, body: TableBody, environment: Environment): Table {
  const { database, server } = environment.session;
  return new Table(
    { id: 0, schema: 'dbo', name, ...shapeOf(name, body, environment, database) },
    database,
    server.transactions.locks,
  );
}

function createTable(name: Name, body: TableBody, run: Run, environment: Environment): void {
  const [table = '', schema = '', other] = name.toReversed();
  const { database } = run.session;
  if (table.startsWith('#')) {
    throw unsupported('temporary tables');
  }
  if (other !== undefined && other.toLowerCase() !== database.name.toLowerCase()) {
    throw unsupported('CREATE TABLE in another database');
  }
  assertWritable(database);
  database.createTable(run.transaction, {
    id: database.newObjectId(),
    schema: schema === '' ? 'dbo' : schema,
    name: table,
    ...shapeOf(table, body, environment, database),
  });
}

function shapeOf(table: string, body: TableBody, environment: Environment, database: Database) {
  const keyed = new Set(
    body.keys.filter(({ kind }) => kind === 'primary key').flatMap(({ columns }) => columns.map(lower)),
  );
  const columns: Column[] = [];
  for (const one of body.columns) {
    if (columns.some(({ name }) => lower(name) === lower(one.name))) {
      throw columnExists(one.name, table);
    }
    const made = columnOf(one, columns.length + 1, environment);
    columns.push(keyed.has(lower(one.name)) ? { ...made, type: { ...made.type, nullable: false } } : made);
  }
  return { columns, indexes: body.keys.map((key, at) => indexOf(key, at + 1, table, columns, database)) };
}

function columnOf(definition: ColumnDefinition, id: number, environment: Environment): Column {
  const { name, type, identity, default: fallback } = definition;
  const base = { id, name, type, ...(identity === undefined ? {} : { identity }) };
  if (fallback === undefined) {
    return base;
  }
  const compiled = new ExpressionCompiler(environment, new Scope(undefined), compileInnerQuery).expression(
    fallback.value,
  );
  const { session } = environment;
  const value = () => {
    const { transactions } = session.server;
    const run: Run = {
      session,
      transaction: transactions.begin({ sessionId: session.id, isolation: 'read committed', deadlockPriority: 0 }),
      variables: new Map(),
      nowMs: transactions.clock.now(),
      sequence: transactions.sequence,
      context: null,
    };
    return convertValue(compiled.evaluate(newFrame(run, 0)), compiled.type, type);
  };
  return {
    ...base,
    default: { constraint: fallback.constraint ?? `DF__${name}__${id}`, text: fallback.text, value },
  };
}

function indexOf(key: KeyDefinition, id: number, table: string, columns: readonly Column[], database: Database): Index {
  const places = key.columns.map((name) => {
    const at = columns.findIndex((column) => lower(column.name) === lower(name));
    if (at < 0) {
      throw invalidColumn(name);
    }
    return at;
  });
  if (key.kind === 'primary key' && places.some((at) => columns[at]?.type.nullable === true)) {
    throw nullableKey(table);
  }
  const prefix = key.kind === 'primary key' ? 'PK' : 'UQ';
  const name =
    key.name ?? `${prefix}__${table}__${database.newObjectId().toString(16).toUpperCase().padStart(16, '0')}`;
  return { id, name, kind: key.kind, columns: places };
}

function addIndex(
  table: Table,
  { name, kind, columns }: { readonly name: string; readonly kind: Index['kind']; readonly columns: readonly string[] },
  run: Run,
): void {
  const places = columns.map((column) => {
    const at = table.columnIndex(column);
    if (at < 0) {
      throw invalidColumn(column);
    }
    return at;
  });
  const before = table.indexes;
  const id = Math.max(1, ...before.map((one) => one.id)) + 1;
  table.indexes = [...before, { id, name, kind, columns: places }];
  run.transaction.willUndo(() => {
    table.indexes = before;
  });
}

function dropTable(name: Name, ifExists: boolean, run: Run, environment: Environment): void {
  const table = resolveTable(name, environment);
  if (table === undefined || !isAllowed(run.session, 'ALTER', table)) {
    if (ifExists && table === undefined) {
      return;
    }
    throw cannotDrop('table', name.join('.'));
  }
  assertWritable(table.database);
  table.database.dropTable(run.transaction, table);
}

function alterable(name: Name, run: Run, environment: Environment): Table {
  const table = resolveTable(name, environment);
  if (table === undefined) {
    throw cannotAlter(name.join('.'));
  }
  if (!isAllowed(run.session, 'ALTER', table)) {
    throw permissionDenied('ALTER', table.name, table.database.name, table.schema);
  }
  assertWritable(table.database);
  return table;
}

function alterTable(table: Table, change: TableChange, run: Run, environment: Environment): void {
  switch (change.kind) {
    case 'enableTracking':
      enableTableTracking(table, change.columns);
      break;
    case 'disableTracking':
      disableTableTracking(table);
      break;
    case 'addColumns':
      addColumns(table, change.body, environment);
      break;
    case 'dropColumns': {
      const gone = new Set(change.names.map(lower));
      const stays = table.columns.map(({ name }) => !gone.has(lower(name)));
      if (table.indexes.some(({ columns }) => columns.some((at) => stays[at] !== true))) {
        throw unsupported('DROP COLUMN of a column in an index');
      }
      const kept = table.columns.filter((_, at) => stays[at] === true);
      table.indexes = table.indexes.map((index) => ({
        ...index,
        columns: index.columns.map((at) => kept.indexOf(table.columns[at] as Column)),
      }));
      table.reshape(kept, (row) => row.filter((_, at) => stays[at] === true));
      break;
    }
    case 'dropConstraint':
      dropConstraint(table, change.name);
      break;
    case 'alterColumn': {
      const at = table.columnIndex(change.column.name);
      const before = table.columns[at];
      if (before === undefined) {
        throw invalidColumn(change.column.name);
      }
      const type = change.column.type;
      const columns = table.columns.map((column, place) => (place === at ? { ...column, type } : column));
      table.reshape(columns, (row) =>
        row.map((value, place) => (place === at ? convertValue(value, before.type, type) : value)),
      );
      break;
    }
  }
  run.session.server.transactions.nextSequence();
}

function addColumns(table: Table, body: TableBody, environment: Environment): void {
  let next = Math.max(0, ...table.columns.map(({ id }) => id)) + 1;
  const added = body.columns.map((column) => {
    if (table.columnIndex(column.name) >= 0) {
      throw columnExists(column.name, table.name);
    }
    return columnOf(column, next++, environment);
  });
  const columns = [...table.columns, ...added];
  const { length } = table.indexes;
  const indexes = body.keys.map((key, at) => indexOf(key, length + at + 1, table.name, columns, table.database));
  table.reshape(columns, (row) => [
    ...row,
    ...added.map(({ type, default: fallback }) => (type.nullable ? null : (fallback?.value() ?? null))),
  ]);
  table.indexes = [...table.indexes, ...indexes];
}

function dropConstraint(table: Table, name: string): void {
  const index = table.indexes.find((one) => lower(one.name) === lower(name));
  if (index?.kind === 'primary key') {
    if (table.tracking !== undefined) {
      throw primaryKeyTracked(index.name, table.name);
    }
    throw unsupported('DROP of a primary key');
  }
  const withDefault = table.columns.some(
    (column) => column.default !== undefined && lower(column.default.constraint) === lower(name),
  );
  if (index === undefined && !withDefault) {
    throw cannotDrop('constraint', name);
  }
  table.indexes = table.indexes.filter((one) => one !== index);
  table.columns = table.columns.map((column) => {
    const { default: fallback, ...rest } = column;
    return fallback !== undefined && lower(fallback.constraint) === lower(name) ? rest : column;
  });
}

function dropDatabase(name: string, ifExists: boolean, { session }: Run): void {
  if (session.server.findDatabase(name) === undefined && ifExists) {
    return;
  }
  if (session.server.findDatabase(name) === undefined || !session.isAdministrator) {
    throw cannotDrop('database', name);
  }
  session.server.dropDatabase(name);
}

function alterDatabase(database: Database, settings: readonly DatabaseSetting[]): void {
  if (settings.length > 1 && settings.some(({ kind }) => kind === 'tracking')) {
    throw trackingNotAlone();
  }
  for (const setting of settings) {
    if (setting.kind === 'snapshot') {
      database.allowSnapshotIsolation = setting.on;
    } else if (setting.kind === 'readCommittedSnapshot') {
      database.readCommittedSnapshot = setting.on;
    } else if (setting.kind === 'compatibility') {
      database.compatibilityLevel = setting.level;
    } else if (setting.kind === 'tracking') {
      alterTracking(database, setting);
    }
  }
}

function alterTracking(database: Database, setting: DatabaseSetting & { readonly kind: 'tracking' }): void {
  const settings = {
    ...(setting.retention === undefined ? {} : { retention: setting.retention }),
    ...(setting.autoCleanup === undefined ? {} : { autoCleanup: setting.autoCleanup }),
  };
  if (setting.switch === 'on') {
    enableDatabaseTracking(database, settings);
  } else if (setting.switch === 'off') {
    disableDatabaseTracking(database);
  } else {
    changeTrackingSettings(database, settings);
  }
}

function grant({ verb, permissions, on, users }: Grant, run: Run, environment: Environment): void {
  const { grants } = run.session.database;
  const securable = securableOf(on, run, environment);
  for (const user of users) {
    if (!grants.users.has(lower(user))) {
      throw noSuchUser(user);
    }
    for (const { name, columns } of permissions) {
      const permission = permissionOf(name);
      const places = columns.length === 0 ? [securable] : columns.map((column) => ({ ...securable, column }));
      places.forEach((place) => grants[verb](user, permission, place));
    }
  }
}

function securableOf(on: Grant['on'], run: Run, environment: Environment): Securable {
  if (on === undefined || on.kind === 'database') {
    return {};
  }
  if (on.kind === 'schema') {
    return { schema: on.name.at(-1) ?? '' };
  }
  const table = resolveTable(on.name, environment);
  if (table === undefined || !isAllowed(run.session, 'CONTROL', table)) {
    throw cannotGrant(on.name.at(-1) ?? '');
  }
  return { schema: table.schema, object: table.name };
}

function permissionOf(name: string): Permission {
  const known = PERMISSIONS.find((one) => one === name);
  if (known === undefined) {
    throw unsupported(`the permission ${name}`);
  }
  return known;
}

function assertMayCreate({ session }: Run, permission: 'CREATE TABLE' | 'CREATE SCHEMA'): void {
  if (!isAllowedOnDatabase(session, permission, session.database)) {
    throw databasePermissionDenied(permission, session.database.name);
  }
}

function lower(name: string): string {
  return name.toLowerCase();
}
