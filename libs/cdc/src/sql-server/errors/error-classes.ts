/**
 * What an error of SQL Server or its driver calls for.
 *
 * `connection`: reconnect, with growing delays. `overload`: the server asks for patience. `contention`: at once again. `timeout`: less at
 * a time. `snapshotUnavailable`: read without snapshots. `configuration`: somebody must change something; look again each minute.
 * `defect`: of the text that was sent; as `configuration`, and loud. `cancelled`: by the caller, no error. `unrecognised`: the server refused
 * for a reason that is not in the table; as `connection` at first, as `configuration` from the third time in a row on. `unknown`: nobody
 * said why; as `connection`.
 */
export type SqlServerErrorClass =
  | 'connection'
  | 'overload'
  | 'contention'
  | 'timeout'
  | 'snapshotUnavailable'
  | 'configuration'
  | 'defect'
  | 'cancelled'
  | 'unrecognised'
  | 'unknown';

/**
 * Which error belongs to which class: by the server's number, else by its severity (what SQL Server calls the class of an error), else by the
 * driver's code. What an app knows better, it overrides.
 */
export interface SqlServerErrorTable {
  readonly numbers: Readonly<Record<number, SqlServerErrorClass>>;
  readonly severities: Readonly<Record<number, SqlServerErrorClass>>;
  readonly codes: Readonly<Record<string, SqlServerErrorClass>>;
}

const all = <TKey extends number | string>(errorClass: SqlServerErrorClass, keys: readonly TKey[]) =>
  Object.fromEntries(keys.map((key) => [key, errorClass]));

/** What Node says of a certificate that it does not accept: no retry makes it another one. */
export const CERTIFICATE_CODES: readonly string[] = Object.freeze([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * The table that {@link classifySqlServerError} looks into: the union of what SqlClient (its lists for connecting and for retries) and
 * Entity Framework retry, and of what change tracking itself raises.
 */
export const SQL_SERVER_ERRORS: SqlServerErrorTable = Object.freeze({
  numbers: Object.freeze({
    // 4060 (the database cannot be opened) is how a failover looks, and a wrong name too; 976, 978, 983: an availability group moves.
    ...all('connection', [20, 64, 121, 233, 596, 976, 978, 983, 997, 4060, 4221, 10053, 10054, 10060, 10061]),
    ...all(
      'overload',
      [10928, 10929, 40020, 40143, 40166, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920],
    ),
    // Deadlock, lock timeout, a row or object that changed under a snapshot, and their kin of memory-optimised tables.
    ...all('contention', [1204, 1205, 1222, 3960, 3961, 41301, 41302, 41305, 41325, 41839]),
    // -2 is SqlClient's own number for its timeout.
    ...all('timeout', [-2]),
    ...all('snapshotUnavailable', [3952]),
    ...all(
      'configuration',
      // Object, column, rights (262, 2760: to create the bookkeeping), database.
      [207, 208, 229, 230, 262, 297, 300, 916, 2760, 4064],
    ),
    // Logins.
    ...all('configuration', [18452, 18456, 18470, 18486, 18487, 18488]),
    // Change tracking: table not tracked, remote table, no user table, edition, secondary replica, encrypted or missing key, history table.
    ...all('configuration', [4998, 22105, 22106, 22107, 22116, 22117, 22118, 22119, 13563]),
    ...all(
      'defect',
      [102, 137, 156, 245, 257, 266, 8114, 8116, 22101, 22102, 22103, 22104, 22108, 22109, 22110, 22111, 22112],
    ),
  }),
  severities: Object.freeze({
    // Up to 10 the server only informs; from 20 on the connection is gone.
    ...all('unrecognised', [11, 12, 13, 14, 15, 16]),
    ...all('overload', [17, 18, 19]),
    ...all('connection', [20, 21, 22, 23, 24, 25]),
  }),
  codes: Object.freeze({
    ...all('connection', [
      'ESOCKET',
      'ECONNRESET',
      'ECLOSE',
      'ECONNCLOSED',
      'ENOTOPEN',
      'EINSTLOOKUP',
      'EINVALIDSTATE',
      'ECONNREFUSED',
      'ENOTFOUND',
      'EPIPE',
      'ETIMEDOUT',
    ]),
    // A login that failed without the server saying why: the account may be locked out by retries.
    ...all('configuration', ['ELOGIN', 'EFEDAUTH', 'EENCRYPT', 'ETDS', 'EINTERFACENOTSUPP']),
    ...all('configuration', CERTIFICATE_CODES),
    ...all('contention', ['EABORT']),
    ...all('defect', ['EPARAM', 'EINJECT', 'EARGS', 'EREQINPROG', 'ENOTBEGUN', 'EALREADYBEGUN']),
    ...all('cancelled', ['ECANCEL', 'ABORT_ERR']),
  }),
});
