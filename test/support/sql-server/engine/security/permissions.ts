import {
  columnPermissionDenied,
  databasePermissionDenied,
  permissionDenied,
  secondaryReplica,
} from '../errors/object-faults.js';
import { readOnlyDatabase } from '../errors/transaction-faults.js';
import { type SessionState } from '../sql/session-state.js';
import { type Database } from '../storage/database.js';
import { type Table } from '../storage/table.js';
import { type Permission } from './grants.js';

/** Whether the user of the session has the permission on the whole table. */
export function isAllowed(session: SessionState, permission: Permission, table: Table): boolean {
  return (
    session.isAdministrator ||
    table.database.grants.has(session.user, permission, { schema: table.schema, object: table.name })
  );
}

/** Whether the catalog shows the table to the user. */
export function isVisible(session: SessionState, table: Table): boolean {
  return (
    session.isAdministrator || table.database.grants.sees(session.user, { schema: table.schema, object: table.name })
  );
}

/** @throws 229 */
export function assertAllowed(session: SessionState, permission: Permission, table: Table): void {
  if (!isAllowed(session, permission, table)) {
    throw permissionDenied(permission, table.name, table.database.name, table.schema);
  }
}

/** Reading: the whole table, or only columns that are granted. @throws 229 @returns what to ask for each column that is named. */
export function assertReadable(session: SessionState, table: Table): ((column: string) => void) | undefined {
  const { grants } = table.database;
  const on = { schema: table.schema, object: table.name };
  if (isAllowed(session, 'SELECT', table)) {
    return undefined;
  }
  if (!grants.hasOnColumns(session.user, 'SELECT', on)) {
    throw permissionDenied('SELECT', table.name, table.database.name, table.schema);
  }
  return (column) => {
    if (!grants.has(session.user, 'SELECT', { ...on, column })) {
      throw columnPermissionDenied('SELECT', column, table.name, table.database.name, table.schema);
    }
  };
}

export function isAllowedOnDatabase(session: SessionState, permission: Permission, database: Database): boolean {
  return session.isAdministrator || database.grants.has(session.user, permission);
}

/** @throws 262 */
export function assertAllowedOnDatabase(session: SessionState, permission: Permission, database: Database): void {
  if (!isAllowedOnDatabase(session, permission, database)) {
    throw databasePermissionDenied(permission, database.name);
  }
}

/** Change tracking answers on the primary only. @throws 22117 */
export function assertPrimary({ role }: Database): void {
  if (role !== 'primary') {
    throw secondaryReplica();
  }
}

/** @throws 3906 */
export function assertWritable({ role, name }: Database): void {
  if (role !== 'primary') {
    throw readOnlyDatabase(name);
  }
}
