import { type SqlServerStatement, text } from './statement.js';

/** Gives the session of a pooled connection back its default isolation. A batch of its own: procedures would only change their own. */
export function lowerIsolation(): SqlServerStatement {
  return {
    name: 'lowerIsolation',
    sql: 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
    parameters: [],
    isBatch: true,
  };
}

/**
 * Whether the table of migrations is there: (its id, or NULL). Parameters of a data source are numbered.
 *
 * @param table as TypeORM calls it.
 */
export function findMigrations(table: string): SqlServerStatement {
  return { name: 'findMigrations', sql: 'SELECT OBJECT_ID(@0) AS id', parameters: [text('0', table)] };
}

/**
 * The names of the migrations that ran.
 *
 * @param quoted the table, as TypeORM quotes it.
 */
export function readMigrations(quoted: string): SqlServerStatement {
  return { name: 'readMigrations', sql: `SELECT name FROM ${quoted}`, parameters: [] };
}
