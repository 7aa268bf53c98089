import { classifySqlServerError, type SqlServerFailure } from '../errors/classify.js';
import type { SqlServerPool } from '../pool/sql-server.pool.js';
import { describeTable, examineDatabase } from '../statements/look-at-source.js';
import { readDatabase, readTable } from './examination.js';
import { whyNotExamined } from './no-examination.js';
import { databaseFindings, type Finding, secondaryFinding, tableFindings } from './findings.js';

const LIMITS = { lockTimeoutMs: 5_000 };
const ON_SECONDARY = 22117;

/** What is looked at. */
export interface SqlServerExaminationOptions {
  /** Of the bookkeeping, as in `SqlServerCdcOptions.schema`. Default `smartpulse`. */
  readonly schema?: string | undefined;
  /** Whether readers use `RowChange.changedColumns`: a table that does not tell them is then a warning. Default `false`. */
  readonly masks?: boolean | undefined;
  /** How the database is called where it cannot be asked for its name. Default: the database. */
  readonly subject?: string | undefined;
}

/**
 * Says what a database and its tables lack for changes to be followed, and the statements that add it. Changes nothing. Rights are those of
 * the connection's own user: examine as the login that the app has. A database that cannot be asked is a finding, too.
 *
 * @example
 * ```ts
 * for (const { severity, problem, sql } of await examineSqlServer(pool, ['dbo.forecast'])) { … }
 * ```
 */
export async function examineSqlServer(
  pool: SqlServerPool,
  tables: readonly string[],
  { schema = 'smartpulse', masks = false, subject = 'the database' }: SqlServerExaminationOptions = {},
): Promise<readonly Finding[]> {
  try {
    const database = readDatabase(await pool.run(examineDatabase(schema, LIMITS)));
    const findings = [...databaseFindings(database, schema)];
    for (const table of database.writable ? tables : []) {
      const seen = readTable(table, await pool.run(describeTable(table, LIMITS)));
      findings.push(...tableFindings(seen, database.user, masks));
    }
    return findings;
  } catch (error) {
    const { number } = classifySqlServerError(error);
    return [number === ON_SECONDARY ? secondaryFinding(subject) : whyNotExamined(error, subject)];
  }
}

/** What became of the statements that mend. */
export interface SqlServerMending {
  readonly ran: readonly string[];
  /** Those that the server refused, with what it said. */
  readonly refused: readonly { readonly sql: string; readonly failure: SqlServerFailure }[];
}

/**
 * Runs what mends the findings, in their order; one that the server refuses does not keep the others from being run.
 *
 * @throws what the pool throws when the server cannot be asked any more.
 */
export async function mendSqlServer(pool: SqlServerPool, findings: readonly Finding[]): Promise<SqlServerMending> {
  const ran: string[] = [];
  const refused: { sql: string; failure: SqlServerFailure }[] = [];
  for (const sql of findings.flatMap((finding) => finding.sql)) {
    try {
      await pool.run({ name: 'mend', sql, parameters: [] });
      ran.push(sql);
    } catch (error) {
      const failure = classifySqlServerError(error);
      if (failure.number === null) {
        throw error;
      }
      refused.push({ sql, failure });
    }
  }
  return { ran, refused };
}
