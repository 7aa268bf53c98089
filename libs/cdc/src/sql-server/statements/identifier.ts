import { SqlServerNameError } from '../sql-server.errors.js';

const PART = /^[A-Za-z_][\w$#@]{0,127}$/;

/** Quotes one name: of a column as the catalogue has it, or a part that was checked. */
export function quoteName(name: string): string {
  return `[${name.replaceAll(']', ']]')}]`;
}

/**
 * Quotes a table's name as configured. A name cannot be a parameter, so only plain identifiers pass.
 *
 * @param table `schema.name`.
 * @throws SqlServerNameError
 */
export function quoteTable(table: string): string {
  const [schema, name, ...rest] = table.split('.');
  if (schema === undefined || name === undefined || rest.length > 0 || !PART.test(schema) || !PART.test(name)) {
    throw new SqlServerNameError(table, 'table', 'schema.name');
  }
  return `${quoteName(schema)}.${quoteName(name)}`;
}

/**
 * Quotes a schema's name as configured.
 *
 * @throws SqlServerNameError
 */
export function quoteSchema(schema: string): string {
  if (!PART.test(schema)) {
    throw new SqlServerNameError(schema, 'schema', 'one plain identifier');
  }
  return quoteName(schema);
}

/** Quotes text for a place where no parameter is allowed. */
export function quoteText(value: string): string {
  return `N'${value.replaceAll("'", "''")}'`;
}
