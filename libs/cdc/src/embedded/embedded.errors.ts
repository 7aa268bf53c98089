import { SmartPulseError } from '@smartpulse/resilience';

/** The database is closing or closed: no new turn is given. */
export class EmbeddedDatabaseClosedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_CLOSED';
  readonly code = EmbeddedDatabaseClosedError.code;

  constructor(readonly database: string) {
    super(`The embedded database "${database}" is closed.`, {
      remedy: 'Close it after everything that uses it: apps first, the database last.',
    });
  }

  static is(error: unknown): error is EmbeddedDatabaseClosedError {
    return SmartPulseError.hasCode(error, EmbeddedDatabaseClosedError.code);
  }
}

/** Too many callers wait for the one connection; this one was refused and nothing of it ran. */
export class EmbeddedDatabaseBusyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_BUSY';
  readonly code = EmbeddedDatabaseBusyError.code;

  constructor(
    readonly database: string,
    readonly waiting: number,
    readonly holder: string,
  ) {
    super(`${waiting} callers wait for their turn on the embedded database "${database}"; it is held by "${holder}".`, {
      remedy: 'Slow the callers down, shorten what the holder does in its transaction, or raise maxWaitingTurns.',
    });
  }

  static is(error: unknown): error is EmbeddedDatabaseBusyError {
    return SmartPulseError.hasCode(error, EmbeddedDatabaseBusyError.code);
  }
}

/** A turn was held for longer than `turnTimeoutMs`: its transaction is rolled back and the next caller has the connection. */
export class EmbeddedTurnExpiredError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_TURN_EXPIRED';
  readonly code = EmbeddedTurnExpiredError.code;

  constructor(
    readonly database: string,
    /** Who held it: the data source and the first statement of the turn, without its values. */
    readonly holder: string,
    readonly turnTimeoutMs: number,
  ) {
    super(
      `"${holder}" held the embedded database "${database}" for more than ${turnTimeoutMs} ms; its transaction is rolled back.`,
      {
        remedy:
          'Release every query runner, use only the given manager inside a transaction (any other one waits for it), and keep slow work out of transactions.',
      },
    );
  }

  static is(error: unknown): error is EmbeddedTurnExpiredError {
    return SmartPulseError.hasCode(error, EmbeddedTurnExpiredError.code);
  }
}

/**
 * Inside a transaction something waited for the connection that the transaction itself holds. Only the waiting call failed; the
 * transaction goes on, unless it lets the error through.
 */
export class EmbeddedNestedTurnError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_NESTED_TURN';
  readonly code = EmbeddedNestedTurnError.code;

  constructor(
    readonly database: string,
    /** What waited: a data source and a statement without its values, or a call of an adapter. */
    readonly caller: string,
    /** What it waited for, told in the same way. */
    readonly holder: string,
  ) {
    super(
      `"${caller}" waited inside the transaction of "${holder}", which holds the embedded database "${database}".`,
      {
        remedy:
          'Inside a transaction use the manager that it gives you, and await nothing else that needs the database.',
      },
    );
  }

  static is(error: unknown): error is EmbeddedNestedTurnError {
    return SmartPulseError.hasCode(error, EmbeddedNestedTurnError.code);
  }
}

/** SQLite itself ended the transaction (full disk, `ON CONFLICT ROLLBACK`): later statements of it are refused. */
export class EmbeddedTransactionLostError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_TRANSACTION_LOST';
  readonly code = EmbeddedTransactionLostError.code;

  constructor(
    readonly database: string,
    readonly holder: string,
    cause: unknown,
  ) {
    super(`SQLite rolled back the transaction of "${holder}" on the embedded database "${database}".`, {
      remedy: 'Roll back and repeat the whole transaction once the cause is mended.',
      cause,
    });
  }

  static is(error: unknown): error is EmbeddedTransactionLostError {
    return SmartPulseError.hasCode(error, EmbeddedTransactionLostError.code);
  }
}

/** Another process, or another `EmbeddedDatabase` of this one, has the file open. */
export class EmbeddedFileInUseError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_FILE_IN_USE';
  readonly code = EmbeddedFileInUseError.code;

  constructor(
    readonly database: string,
    cause: unknown,
  ) {
    super(`The file of the embedded database "${database}" is open elsewhere.`, {
      remedy: 'Open one EmbeddedDatabase per file and give it to every app, or close the other one first.',
      cause,
    });
  }

  static is(error: unknown): error is EmbeddedFileInUseError {
    return SmartPulseError.hasCode(error, EmbeddedFileInUseError.code);
  }
}

/** The file cannot be opened: no such place, no right to it, or no database in it. The cause is the system's or SQLite's own error. */
export class EmbeddedFileError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_FILE';
  readonly code = EmbeddedFileError.code;

  constructor(
    readonly database: string,
    readonly file: string,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : 'for an unknown reason';
    super(`The file "${file}" of the embedded database "${database}" cannot be opened: ${reason}.`, {
      remedy:
        'Name a file that is not there yet or that SQLite wrote, in a directory that this process may create and write to.',
      cause,
    });
  }

  static is(error: unknown): error is EmbeddedFileError {
    return SmartPulseError.hasCode(error, EmbeddedFileError.code);
  }
}

/** A statement cannot run here: a value that SQLite cannot store, or the connection used past its turn. */
export class EmbeddedStatementError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_STATEMENT';
  readonly code = EmbeddedStatementError.code;

  constructor(problem: string, remedy: string) {
    super(problem, { remedy });
  }

  static is(error: unknown): error is EmbeddedStatementError {
    return SmartPulseError.hasCode(error, EmbeddedStatementError.code);
  }
}

/** A table name is malformed, or another tracked name stands for the same table. */
export class EmbeddedTableNameError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EMBEDDED_TABLE_NAME';
  readonly code = EmbeddedTableNameError.code;

  constructor(
    readonly table: string,
    problem: string,
  ) {
    super(`Table name "${table}" ${problem}.`, {
      remedy:
        'Name it as on SQL Server, "schema.table"; the embedded database uses the last part, so it must be unique.',
    });
  }

  static is(error: unknown): error is EmbeddedTableNameError {
    return SmartPulseError.hasCode(error, EmbeddedTableNameError.code);
  }
}
