import { SmartPulseError } from '@smartpulse/resilience';
import type { SqlServerFailure } from './errors/classify.js';
import type { SqlServerErrorClass } from './errors/error-classes.js';

/** The name of a table or schema cannot be put into a statement. */
export class SqlServerNameError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_NAME';
  readonly code = SqlServerNameError.code;

  /** @param expected the form that the name must have. */
  constructor(
    readonly given: string,
    kind: 'table' | 'schema',
    expected: string,
  ) {
    super(`The ${kind} name "${given}" is not of the form ${expected} with plain identifiers.`, {
      remedy:
        'Use letters, digits, "_", "$", "#" and "@", beginning with a letter or "_"; the names are quoted, and cannot be parameters.',
    });
  }

  static is(error: unknown): error is SqlServerNameError {
    return SmartPulseError.hasCode(error, SqlServerNameError.code);
  }
}

/** The driver is not installed: it is optional, because only apps with SQL Server need it. */
export class SqlServerDriverMissingError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_DRIVER_MISSING';
  readonly code = SqlServerDriverMissingError.code;

  constructor(cause: unknown) {
    super('The package "mssql" cannot be loaded, which @smartpulse/cdc/sql-server works on.', {
      remedy: 'Run "npm install mssql@12", or use @smartpulse/cdc/embedded where there is no SQL Server.',
      cause,
    });
  }

  static is(error: unknown): error is SqlServerDriverMissingError {
    return SmartPulseError.hasCode(error, SqlServerDriverMissingError.code);
  }
}

/** A statement failed. What the server said is in `cause` alone: it may quote values of a row. */
export class SqlServerStatementError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_STATEMENT';
  readonly code = SqlServerStatementError.code;

  /** @param statement the statement's name, as the page of all statements has it. */
  constructor(
    readonly source: string,
    readonly statement: string,
    readonly failure: SqlServerFailure,
    cause: unknown,
  ) {
    const { number, code } = failure;
    const why = number === null ? (code ?? 'no code') : `error ${number}`;
    super(`The statement "${statement}" failed on "${source}" (${why}: ${failure.class}).`, {
      remedy: REMEDIES[failure.class],
      cause,
    });
  }

  static is(error: unknown): error is SqlServerStatementError {
    return SmartPulseError.hasCode(error, SqlServerStatementError.code);
  }
}

const REMEDIES: Readonly<Record<SqlServerErrorClass, string>> = Object.freeze({
  connection: 'It is tried again; look at the server, the network and the name of the database when it goes on.',
  overload: 'It is tried again more slowly; give the database more room when it goes on.',
  contention: 'It is tried again at once.',
  timeout:
    'It is tried again with less at a time and another plan; raise requestTimeoutMs, or set forceSeek to true, when it goes on.',
  snapshotUnavailable:
    'Run ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON, or set isolation to "auto", of a stamped reader to "statement".',
  configuration: 'Run "npx smartpulse-cdc doctor": it says what is missing and how to add it.',
  defect: 'Report it with the number and the name of the statement.',
  cancelled: 'Nothing: the caller gave up.',
  unrecognised:
    'Look the number up, and add it to errorClasses when you know what it calls for: until then it is tried again, and each minute only from the third time in a row on.',
  unknown: 'Look at the cause.',
});

/** Why no connection to a server stands. */
export type SqlServerConnectionProblem =
  'unreachable' | 'loginFailed' | 'databaseNotOpened' | 'certificateRefused' | 'encryptionRequired';

const CONNECTION: Readonly<Record<SqlServerConnectionProblem, readonly [problem: string, remedy: string]>> =
  Object.freeze({
    unreachable: [
      'does not answer',
      'Look at its name, its port, the network between, and whether encrypt and trustServerCertificate are as the server wants them.',
    ],
    loginFailed: ['refuses the login', "Correct the user or the password; the server's log has the reason behind it."],
    databaseNotOpened: [
      'does not open the database',
      'Create it, correct its name, or let the login in: CREATE USER … FOR LOGIN …; in that database.',
    ],
    certificateRefused: [
      'has a certificate that Node does not accept',
      "Let Node know its authority by NODE_EXTRA_CA_CERTS and call the server by the certificate's name, or, where nobody can come between, put trustServerCertificate=true into the URL.",
    ],
    encryptionRequired: ['takes no connection without encryption', 'Take encrypt=false out of the URL.'],
  });

/** What a connection problem is, and what to do about it: both halves of a sentence that begins with the server. */
export function connectionProblemText(
  problem: SqlServerConnectionProblem,
  { number, code }: Pick<SqlServerFailure, 'number' | 'code'>,
): { readonly problem: string; readonly remedy: string } {
  const [text, remedy] = CONNECTION[problem];
  return { problem: `${text} (${number === null ? (code ?? 'no code') : `error ${number}`}).`, remedy };
}

/** No connection to the server stands. What it or the driver said is in `cause` alone. */
export class SqlServerConnectionError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_CONNECTION';
  readonly code = SqlServerConnectionError.code;

  /** @param address `host:port/database`, without who asks. */
  constructor(
    readonly address: string,
    readonly problem: SqlServerConnectionProblem,
    readonly failure: SqlServerFailure,
    cause: unknown,
  ) {
    const text = connectionProblemText(problem, failure);
    super(`SQL Server at ${address} ${text.problem}`, { remedy: text.remedy, cause });
  }

  static is(error: unknown): error is SqlServerConnectionError {
    return SmartPulseError.hasCode(error, SqlServerConnectionError.code);
  }
}

/** What change capture keeps in the database itself (epoch, positions, leases) is not there, or was made by an earlier version. */
export class SqlServerBookkeepingError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_BOOKKEEPING';
  readonly code = SqlServerBookkeepingError.code;

  constructor(
    readonly source: string,
    readonly schema: string,
    cause?: unknown,
  ) {
    super(
      `The schema "${schema}" of "${source}" has not all tables and columns that change capture keeps its positions in.`,
      {
        remedy:
          'Run "npx smartpulse-cdc enable" once with a login that may create tables, or set createBookkeeping to true; the text is in docs/guides/sql-server-statements.md.',
        cause,
      },
    );
  }

  static is(error: unknown): error is SqlServerBookkeepingError {
    return SmartPulseError.hasCode(error, SqlServerBookkeepingError.code);
  }
}

/** Change tracking is off for the whole database, or the connection goes to another one than meant. */
export class ChangeTrackingOffError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_TRACKING_OFF';
  readonly code = ChangeTrackingOffError.code;

  constructor(readonly source: string) {
    super(`Change tracking is off in the database of "${source}".`, {
      remedy:
        'Run ALTER DATABASE … SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON), or correct the name of the database. The tables are read anew then.',
    });
  }

  static is(error: unknown): error is ChangeTrackingOffError {
    return SmartPulseError.hasCode(error, ChangeTrackingOffError.code);
  }
}

/** The connection goes to a secondary replica, which knows no change tracking. */
export class SecondaryReplicaError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_SECONDARY';
  readonly code = SecondaryReplicaError.code;

  constructor(
    readonly source: string,
    cause?: unknown,
  ) {
    super(`The connection of "${source}" goes to a secondary replica, where changes cannot be read.`, {
      remedy: "Connect through the availability group's listener, without ApplicationIntent=ReadOnly.",
      cause,
    });
  }

  static is(error: unknown): error is SecondaryReplicaError {
    return SmartPulseError.hasCode(error, SecondaryReplicaError.code);
  }
}

/** The login may not read a table or its changes. */
export class TableNotPermittedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_NOT_PERMITTED';
  readonly code = TableNotPermittedError.code;

  /** @param rights the rights that are missing. */
  constructor(
    readonly table: string,
    readonly source: string,
    readonly rights: readonly string[],
    cause?: unknown,
  ) {
    super(`The login may not read changes of "${table}" in "${source}": ${rights.join(' and ')} missing.`, {
      remedy: rights.map((right) => `GRANT ${right} ON ${table} TO the login's user;`).join(' '),
      cause,
    });
  }

  static is(error: unknown): error is TableNotPermittedError {
    return SmartPulseError.hasCode(error, TableNotPermittedError.code);
  }
}

/** A column has a type whose values cannot be carried exactly. */
export class ColumnTypeError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_COLUMN_TYPE';
  readonly code = ColumnTypeError.code;

  constructor(
    readonly table: string,
    readonly column: string,
    readonly type: string,
  ) {
    super(`Column "${column}" of "${table}" is of the type ${type}, which changes cannot carry.`, {
      remedy: `Name the columns to read in the option columns: { '${table}': [ … ] }, without "${column}".`,
    });
  }

  static is(error: unknown): error is ColumnTypeError {
    return SmartPulseError.hasCode(error, ColumnTypeError.code);
  }
}

/** The option `columns` names a column that its table has not. */
export class ColumnNotFoundError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_COLUMN_NOT_FOUND';
  readonly code = ColumnNotFoundError.code;

  /** @param columns those that there are. */
  constructor(
    readonly table: string,
    readonly column: string,
    readonly columns: readonly string[],
  ) {
    super(`"${table}" has no column "${column}", which the option columns names.`, {
      remedy: `Correct the option, letter by letter; there are ${columns.map((name) => `"${name}"`).join(', ')}.`,
    });
  }

  static is(error: unknown): error is ColumnNotFoundError {
    return SmartPulseError.hasCode(error, ColumnNotFoundError.code);
  }
}

/** An answer of the server or of a pool has not the form that its statement asks for. */
export class SqlServerAnswerError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_ANSWER';
  readonly code = SqlServerAnswerError.code;

  constructor(problem: string) {
    super(`An answer of SQL Server is not what its statement asks for: ${problem}.`, {
      remedy:
        'Report it with the version of the server and of "mssql"; a global valueHandler of mssql changes values, too.',
    });
  }

  static is(error: unknown): error is SqlServerAnswerError {
    return SmartPulseError.hasCode(error, SqlServerAnswerError.code);
  }
}

/** A change context cannot be left: its origin does not fit, or there is no place for it. */
export class ChangeContextError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_CHANGE_CONTEXT';
  readonly code = ChangeContextError.code;

  private constructor(problem: string, remedy: string) {
    super(problem, { remedy });
  }

  static ofOrigin(bytes: number, most: number): ChangeContextError {
    return new ChangeContextError(
      `The origin of a change context has ${bytes} bytes; 1 to ${most} are possible.`,
      'Give it a short, stable name, like the one of the service that writes.',
    );
  }

  static ofTransaction(): ChangeContextError {
    return new ChangeContextError(
      'A change context needs a manager in a running transaction.',
      'Call withChangeContext inside of dataSource.transaction(…), with the manager given there.',
    );
  }

  static ofStatement(first: string, write: string): ChangeContextError {
    return new ChangeContextError(
      `A statement that begins with ${first} holds a ${write}, before which the change context has no place that can be found.`,
      'Write it as a statement of its own, or put WITH CHANGE_TRACKING_CONTEXT into its text yourself, outside of withChangeContext.',
    );
  }

  static is(error: unknown): error is ChangeContextError {
    return SmartPulseError.hasCode(error, ChangeContextError.code);
  }
}
