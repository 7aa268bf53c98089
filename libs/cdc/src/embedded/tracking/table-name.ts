import { EmbeddedTableNameError } from '../embedded.errors.js';

/** What every table and trigger of ours begins with. */
export const OWN_PREFIX = 'smartpulse_';

/** Quotes a table's or column's name for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * The SQLite table behind a schema-qualified name: its last part, as SQLite has no schemas.
 *
 * @throws EmbeddedTableNameError
 */
export function sqliteTableName(table: string): string {
  const parts = table.split('.');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2 || parts.some((part) => part.trim() === '' || part.length > 128 || /\p{Cc}/u.test(part))) {
    throw new EmbeddedTableNameError(table, 'is not of the form "schema.table"');
  }
  if (name.toLowerCase().startsWith(OWN_PREFIX) || name.toLowerCase().startsWith('sqlite_')) {
    throw new EmbeddedTableNameError(table, 'is a table of the database itself');
  }
  return name;
}
