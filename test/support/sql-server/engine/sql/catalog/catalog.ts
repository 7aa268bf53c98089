import { type SqlValue } from '../../../seam.js';
import { type Database } from '../../storage/database.js';
import { type Run } from '../compile/frame.js';
import { type ScopeColumn } from '../compile/scope.js';
import { type Name } from '../parse/ast.js';
import { type SessionState } from '../session-state.js';
import { INFORMATION_SCHEMA } from './information-schema.js';
import { SYSTEM_VIEWS } from './system-views.js';

/** A view of the catalog: its rows are made when it is read. */
export interface CatalogView {
  readonly columns: readonly ScopeColumn[];
  readonly rows: (run: Run, database: Database) => readonly (readonly SqlValue[])[];
}

/** The view of a name, in the database that the name says. */
export function findCatalogView(
  name: Name,
  session: SessionState,
):
  | {
      readonly name: string;
      readonly columns: readonly ScopeColumn[];
      readonly rows: (run: Run) => readonly (readonly SqlValue[])[];
    }
  | undefined {
  const [view = '', schema = '', database] = name.toReversed();
  const of =
    database === undefined || database.toLowerCase() === 'master'
      ? session.database
      : session.server.findDatabase(database);
  const room = schema.toLowerCase() === 'information_schema' ? INFORMATION_SCHEMA : SYSTEM_VIEWS;
  const isSystem =
    ['sys', 'information_schema'].includes(schema.toLowerCase()) || view.toLowerCase() === 'sysdatabases';
  const found = isSystem ? room[view.toLowerCase()] : undefined;
  return found === undefined || of === undefined
    ? undefined
    : { name: view, columns: found.columns, rows: (run) => found.rows(run, of) };
}
