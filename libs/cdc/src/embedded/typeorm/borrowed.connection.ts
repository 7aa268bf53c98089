import { EmbeddedStatementError } from '../embedded.errors.js';

/** Who lends the connection. */
export interface Lender {
  /** @throws when it cannot be lent: the database is closed, or the data source is not set up for borrowing. */
  borrow(): void;
}

/** What TypeORM takes for a new `better-sqlite3` connection: it opens and closes nothing. */
export class BorrowedConnection {
  constructor(lender: Lender) {
    lender.borrow();
  }

  /** TypeORM's own set-up (`foreign_keys`, WAL): done when the database was opened. */
  pragma(): readonly never[] {
    return [];
  }

  /** Statements run on the query runner's own view of the connection, never here. */
  prepare(): never {
    throw new EmbeddedStatementError(
      'A statement was prepared on a borrowed connection.',
      'Use the options of EmbeddedDatabase.typeOrmOptions as they are: they give every query runner its own turn.',
    );
  }

  /** Only gives it back: the connection belongs to the EmbeddedDatabase. */
  close(): void {
    // Nothing was opened.
  }
}
