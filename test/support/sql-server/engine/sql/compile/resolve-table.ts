import { unsupported } from '../../errors/fault.js';
import { noDatabaseAccess, noSuchDatabase } from '../../errors/object-faults.js';
import { invalidObject } from '../../errors/query-faults.js';
import { type Database } from '../../storage/database.js';
import { type Table } from '../../storage/table.js';
import { type Name } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';
import { type Environment } from './environment.js';

/** The table of a name, of this or of another database. */
export function resolveTable(name: Name, { session }: Pick<Environment, 'session'>): Table | undefined {
  const [table = '', schema = '', database] = name.toReversed();
  if (table.startsWith('#')) {
    throw unsupported('temporary tables');
  }
  const from = database === undefined || database === '' ? session.database : otherDatabase(database, session);
  return from.find(schema === '' ? 'dbo' : schema, table);
}

/** @throws 208 */
export function requireTable(name: Name, environment: Pick<Environment, 'session'>): Table {
  const table = resolveTable(name, environment);
  if (table === undefined) {
    throw invalidObject(name.join('.'));
  }
  return table;
}

/** @throws 911, 916 */
export function otherDatabase(name: string, session: SessionState): Database {
  const database = session.server.findDatabase(name);
  if (database === undefined) {
    throw noSuchDatabase(name);
  }
  if (
    !session.isAdministrator &&
    database.name !== 'master' &&
    !database.grants.users.has(session.user.toLowerCase())
  ) {
    throw noDatabaseAccess(session.user, name);
  }
  return database;
}
