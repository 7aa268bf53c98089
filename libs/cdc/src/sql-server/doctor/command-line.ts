import { ConfigurationError } from '@smartpulse/resilience';
import { classifySqlServerError } from '../errors/classify.js';
import { targetOf } from '../pool/connection-target.js';
import { MssqlPool } from '../pool/mssql.pool.js';
import type { SqlServerPool } from '../pool/sql-server.pool.js';
import type { Finding } from './findings.js';
import { examineSqlServer, mendSqlServer } from './sql-server.doctor.js';

/** What the command works with. */
export interface CommandLine {
  /** Without the program's name. */
  readonly arguments: readonly string[];
  /** `mssql://…`: never an argument, which other users of the machine could read. */
  readonly url: string | undefined;
  readonly print: (line: string) => void;
  /** Connects. Default: by `mssql`. */
  readonly open?: (url: string) => SqlServerPool;
}

const USAGE = `smartpulse-cdc doctor [--schema smartpulse] schema.table …
  Says what the database and the tables lack for their changes to be followed, and the SQL that adds it. Changes nothing.
smartpulse-cdc enable [--schema smartpulse] schema.table …
  Runs that SQL.
The database is DATABASE_URL=mssql://user:password@host:1433/database`;

/** @returns the exit code: 0 when nothing is missing, 1 when something is, 2 when it could not be found out. */
export async function runCommand({ arguments: words, url, print, open = connect }: CommandLine): Promise<number> {
  const [command, ...rest] = words;
  const schemaAt = rest.indexOf('--schema');
  const schema = schemaAt < 0 ? 'smartpulse' : (rest[schemaAt + 1] ?? '');
  const tables = rest.filter((_, index) => schemaAt < 0 || (index !== schemaAt && index !== schemaAt + 1));
  if ((command !== 'doctor' && command !== 'enable') || tables.some((word) => word.startsWith('-'))) {
    print(USAGE);
    return command === 'help' || command === '--help' ? 0 : 2;
  }
  if (url === undefined || url === '') {
    print('DATABASE_URL is not set: mssql://user:password@host:1433/database');
    return 2;
  }
  let pool: SqlServerPool | undefined;
  try {
    pool = open(url);
    let findings = await examineSqlServer(pool, tables, schema);
    if (command === 'enable') {
      const before = findings;
      print(`${await mendSqlServer(pool, before)} statements ran.`);
      findings = await examineSqlServer(pool, tables, schema);
      if (findings.some(({ sql }) => sql.length > 0) && before.length > findings.length) {
        // Some of it can be said, and mended, only when the rest is there.
        print(`${await mendSqlServer(pool, findings)} more statements ran.`);
        findings = await examineSqlServer(pool, tables, schema);
      }
    }
    report(findings, print);
    return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  } catch (error) {
    print(sentenceOf(error));
    return 2;
  } finally {
    await pool?.close();
  }
}

function report(findings: readonly Finding[], print: (line: string) => void): void {
  for (const { severity, problem, remedy, sql } of findings) {
    print(`${severity}: ${problem} ${remedy}`);
    sql.forEach((statement) => print(statement));
  }
  if (findings.length === 0) {
    print('Nothing is missing.');
  }
}

/** Says no more of a server's error than its number: its text may hold data. */
function sentenceOf(error: unknown): string {
  if (error instanceof ConfigurationError) {
    return error.message;
  }
  const { number, code, class: errorClass } = classifySqlServerError(error);
  return `It failed: ${number === null ? (code ?? (error instanceof Error ? error.message : 'unknown')) : `error ${number}`} (${errorClass}).`;
}

function connect(url: string): SqlServerPool {
  return new MssqlPool({
    target: targetOf(url, 'DATABASE_URL'),
    size: 1,
    connectTimeoutMs: 15_000,
    requestTimeoutMs: 60_000,
    applicationName: 'smartpulse-cdc doctor',
  });
}
