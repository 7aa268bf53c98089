import { classifySqlServerError } from './classify.js';
import { readDriverError } from './driver-error.js';
import { CERTIFICATE_CODES } from './error-classes.js';
import { SqlServerConnectionError, type SqlServerConnectionProblem } from '../sql-server.errors.js';

/** Cannot be opened, no user in it, or its default database is gone. */
const NOT_OPENED: readonly number[] = [916, 4060, 4064];
const LOGINS: readonly number[] = [18452, 18456, 18470, 18486, 18487, 18488];
const OF_LOGINS: readonly string[] = ['ELOGIN', 'EFEDAUTH'];
/** What errors of connections are called that mssql, and the watch of logins, hand out. */
const NAMES: readonly string[] = ['ConnectionError', 'LoginError'];
/** A pool that is closed is nobody's failed connection. */
const CLOSED: readonly string[] = ['ECONNCLOSED', 'ENOTOPEN'];

/** Why no connection stands; `undefined` where the error is about something else, or about a server that has trouble of its own. */
export function connectionProblemOf(error: unknown): SqlServerConnectionProblem | undefined {
  if (SqlServerConnectionError.is(error)) {
    return error.problem;
  }
  const { codes } = readDriverError(error);
  const { number, class: errorClass } = classifySqlServerError(error);
  if (number !== null) {
    return LOGINS.includes(number) ? 'loginFailed' : NOT_OPENED.includes(number) ? 'databaseNotOpened' : undefined;
  }
  if (codes.some((code) => CERTIFICATE_CODES.includes(code))) {
    return 'certificateRefused';
  }
  if (codes.includes('EENCRYPT')) {
    return 'encryptionRequired';
  }
  if (codes.some((code) => OF_LOGINS.includes(code))) {
    return 'loginFailed';
  }
  return errorClass === 'connection' ? 'unreachable' : undefined;
}

/**
 * The error of a connection that did not come to stand, as one of this package; any other error as it is.
 *
 * @param address the server and its database, without who asks.
 */
export function explainConnection(error: unknown, address: string): unknown {
  const { names, codes } = readDriverError(error);
  const ofConnection = names.some((name) => NAMES.includes(name)) && !codes.some((code) => CLOSED.includes(code));
  const problem = ofConnection ? connectionProblemOf(error) : undefined;
  return problem === undefined
    ? error
    : new SqlServerConnectionError(address, problem, classifySqlServerError(error), error);
}
