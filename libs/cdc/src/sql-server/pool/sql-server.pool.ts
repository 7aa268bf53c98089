import type { SqlServerStatement } from '../statements/statement.js';

/** Values of a row in the order of the columns, as the driver hands them out: read them with `cells.ts`. */
export type SqlServerRow = readonly unknown[];

/** Every set of rows that a statement answered, in order; a statement without rows answers none. */
export type SqlServerAnswer = readonly (readonly SqlServerRow[])[];

/**
 * Connections to one database, as a port.
 *
 * An implementer guarantees: a resolved {@link run} has the whole answer, read to its end, where an error may follow rows; a rejected one
 * throws what the driver threw, with whatever number the server sent; an aborted `signal` cancels the statement on the server and
 * rejects. Connections are for these statements alone: nobody else's isolation level or options leak in. Only a primary is connected to.
 */
export abstract class SqlServerPool {
  abstract run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer>;
  /** Closes all connections. Idempotent. */
  abstract close(): Promise<void>;
}
