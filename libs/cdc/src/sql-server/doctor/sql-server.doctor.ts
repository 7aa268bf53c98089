import type { SqlServerPool } from '../pool/sql-server.pool.js';
import { describeTable, examineDatabase } from '../statements/look-at-source.js';
import { readDatabase, readTable } from './examination.js';
import { databaseFindings, type Finding, tableFindings } from './findings.js';

const LIMITS = { lockTimeoutMs: 5_000 };

/**
 * Says what a database and its tables lack for changes to be followed, and the statements that add it. Changes nothing.
 *
 * @param schema of the bookkeeping, as in `SqlServerCdcOptions.schema`.
 * @example
 * ```ts
 * for (const { severity, problem, sql } of await examineSqlServer(pool, ['dbo.forecast'])) { … }
 * ```
 */
export async function examineSqlServer(
  pool: SqlServerPool,
  tables: readonly string[],
  schema = 'smartpulse',
): Promise<readonly Finding[]> {
  const database = readDatabase(await pool.run(examineDatabase(schema, LIMITS)));
  const findings = [...databaseFindings(database, schema)];
  for (const table of tables) {
    const seen = readTable(table, await pool.run(describeTable(table, LIMITS)));
    findings.push(...tableFindings(seen, database.user));
  }
  return findings;
}

/** Runs what mends the findings, in their order; answers how many statements ran. */
export async function mendSqlServer(pool: SqlServerPool, findings: readonly Finding[]): Promise<number> {
  const statements = findings.flatMap(({ sql }) => sql);
  for (const sql of statements) {
    await pool.run({ name: 'mend', sql, parameters: [] });
  }
  return statements.length;
}
