import { type DriverError, readDriverError, type ServerMessage } from './driver-error.js';
import { SQL_SERVER_ERRORS, type SqlServerErrorClass, type SqlServerErrorTable } from './error-classes.js';

/** What became of a statement, told apart. */
export interface SqlServerFailure {
  readonly class: SqlServerErrorClass;
  /** The error that decided the class: the server's number, or `null` when the driver alone failed. */
  readonly number: number | null;
  /** The driver's code; of a failed socket, which has one for everything, its cause's. */
  readonly code: string | null;
  /** What the server said first; may quote values of the row, so it belongs in no log. */
  readonly message: string | null;
}

/** Some of the classes overridden; the rest is {@link SQL_SERVER_ERRORS}. */
export type SqlServerErrorOverrides = Partial<SqlServerErrorTable>;

/**
 * The class of an error of SQL Server, whichever driver's wrapping it comes in: TypeORM, mssql or tedious.
 *
 * The server's errors decide before the driver's codes, the first one that the table knows before later ones, because SQL Server sends the
 * cause first and then what failed by it.
 *
 * @param overrides what the app knows better, as `{ numbers: { 50001: 'contention' } }`.
 * @example
 * ```ts
 * const { class: errorClass, number } = classifySqlServerError(error);
 * ```
 */
export function classifySqlServerError(error: unknown, overrides: SqlServerErrorOverrides = {}): SqlServerFailure {
  const table = {
    numbers: { ...SQL_SERVER_ERRORS.numbers, ...overrides.numbers },
    severities: { ...SQL_SERVER_ERRORS.severities, ...overrides.severities },
    codes: { ...SQL_SERVER_ERRORS.codes, ...overrides.codes },
  };
  const read = readDriverError(error);
  const { messages } = read;
  const code = decisiveCode(read.codes, table, overrides);
  const known = messages.find(({ number }) => Object.hasOwn(table.numbers, number));
  const decisive = known ?? gravest(messages.filter(({ severity }) => Object.hasOwn(table.severities, severity ?? 0)));
  return {
    class: classOf(read, decisive, code, table),
    number: decisive?.number ?? null,
    code: code ?? null,
    message: decisive?.message ?? null,
  };
}

function classOf(
  read: DriverError,
  decisive: ServerMessage | undefined,
  code: string | undefined,
  table: SqlServerErrorTable,
): SqlServerErrorClass {
  if (decisive !== undefined) {
    return table.numbers[decisive.number] ?? table.severities[decisive.severity ?? 0] ?? 'unknown';
  }
  if (read.names.includes('TimeoutError')) {
    // No connection of the pool came free.
    return 'connection';
  }
  if (read.codes.includes('ETIMEOUT')) {
    // The same code for a request that took too long and for a connection that never stood, or fell by an unanswered cancel.
    return read.names.includes('ConnectionError') ? 'connection' : 'timeout';
  }
  return code === undefined ? 'unknown' : (table.codes[code] ?? 'unknown');
}

/** The code that says most: one that the app knows better, the cause of a failed socket, the outermost of the driver's. */
function decisiveCode(
  codes: readonly string[],
  table: SqlServerErrorTable,
  overrides: SqlServerErrorOverrides,
): string | undefined {
  return (
    codes.find((code) => Object.hasOwn(overrides.codes ?? {}, code)) ??
    codes.find((code) => code !== 'ESOCKET' && Object.hasOwn(table.codes, code)) ??
    codes.find((code) => !code.startsWith('SMARTPULSE_')) ??
    codes[0]
  );
}

/** Of several errors that the table does not know, the one of the highest severity; of equal ones the first, which is the cause. */
function gravest(messages: readonly ServerMessage[]): ServerMessage | undefined {
  return messages.reduce<ServerMessage | undefined>(
    (worst, one) => (worst === undefined || (one.severity ?? 0) > (worst.severity ?? 0) ? one : worst),
    undefined,
  );
}
