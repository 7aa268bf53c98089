import { parseArgs } from 'node:util';
import { ConfigurationError } from '@smartpulse/resilience';
import { addressOf, targetOf } from '../pool/connection-target.js';
import { MssqlPool } from '../pool/mssql.pool.js';
import type { SqlServerPool } from '../pool/sql-server.pool.js';
import type { Finding } from './findings.js';
import { isNoExamination, whyNotExamined } from './no-examination.js';
import { examineSqlServer, mendSqlServer, type SqlServerMending } from './sql-server.doctor.js';

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

const USAGE = `smartpulse-cdc doctor [options] schema.table …
  Says what the database and the tables lack for their changes to be followed, and the SQL that adds it. Changes nothing.
  Run it as the login of the app: the rights are its.
smartpulse-cdc enable [options] schema.table …
  Runs that SQL. Run it as a login that may.
Options:
  --schema smartpulse  the schema of the bookkeeping
  --masks              readers use changedColumns: a table that does not tell them is a warning, and enable begins its tracking anew
  --strict             warnings count as errors
  --json               one JSON document instead of lines
The database is DATABASE_URL=mssql://user:password@host:1433/database
Ends with 0 when changes can be followed, 1 when something is missing for it, 2 when that could not be found out.`;

interface Wanted {
  readonly command: 'doctor' | 'enable';
  readonly tables: readonly string[];
  readonly schema: string;
  readonly masks: boolean;
  readonly strict: boolean;
  readonly json: boolean;
}

/** What is examined. */
type Of = Pick<Wanted, 'tables' | 'schema' | 'masks'> & { readonly subject: string };

/** What one run found, and did. */
interface Outcome {
  readonly findings: readonly Finding[];
  readonly mending: SqlServerMending;
}

const NOTHING: SqlServerMending = Object.freeze({ ran: [], refused: [] });

/** @returns the exit code: 0 when nothing is missing for changes to be followed, 1 when something is, 2 when it could not be found out. */
export async function runCommand({ arguments: words, url, print, open = connect }: CommandLine): Promise<number> {
  const wanted = read(words);
  if (wanted === undefined) {
    print(USAGE);
    return words[0] === 'help' || words[0] === '--help' ? 0 : 2;
  }
  const say = wanted.json ? sayJson : sayLines;
  if (url === undefined || url === '') {
    const problem = 'it is not set; expected mssql://user:password@host:1433/database';
    const unset = new ConfigurationError(
      'DATABASE_URL',
      [{ option: '', problem }],
      'Set it, and run the command again.',
    );
    say({ findings: [whyNotExamined(unset, 'DATABASE_URL')], mending: NOTHING }, print);
    return 2;
  }
  let pool: SqlServerPool | undefined;
  try {
    pool = open(url);
    const of = { ...wanted, subject: subjectOf(url) };
    const outcome = await (wanted.command === 'enable' ? mended(pool, of) : examined(pool, of));
    say(outcome, print);
    if (outcome.findings.some(isNoExamination)) {
      return 2;
    }
    const counts: readonly Finding['severity'][] = wanted.strict ? ['error', 'warning'] : ['error'];
    return outcome.findings.some(({ severity }) => counts.includes(severity)) ? 1 : 0;
  } catch (error) {
    say({ findings: [whyNotExamined(error, subjectOf(url))], mending: NOTHING }, print);
    return 2;
  } finally {
    await pool?.close();
  }
}

function read(words: readonly string[]): Wanted | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        schema: { type: 'string', default: 'smartpulse' },
        masks: { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const [command, ...tables] = positionals;
    return command === 'doctor' || command === 'enable' ? { command, tables, ...values } : undefined;
  } catch (error) {
    if (error instanceof TypeError) {
      // An option that is not known, or lacks its value.
      return undefined;
    }
    throw error;
  }
}

async function examined(pool: SqlServerPool, { tables, schema, masks, subject }: Of): Promise<Outcome> {
  return { findings: await examineSqlServer(pool, tables, { schema, masks, subject }), mending: NOTHING };
}

async function mended(pool: SqlServerPool, wanted: Of): Promise<Outcome> {
  const { findings: before } = await examined(pool, wanted);
  const first = await mendSqlServer(pool, before);
  const { findings: between } = await examined(pool, wanted);
  if (between.length >= before.length || between.every(({ sql }) => sql.length === 0)) {
    return { findings: between, mending: first };
  }
  // Some of it can be said, and mended, only when the rest is there.
  const second = await mendSqlServer(pool, between);
  const { findings } = await examined(pool, wanted);
  return {
    findings,
    mending: { ran: [...first.ran, ...second.ran], refused: [...first.refused, ...second.refused] },
  };
}

function sayLines({ findings, mending }: Outcome, print: (line: string) => void): void {
  if (mending.ran.length > 0 || mending.refused.length > 0) {
    print(`${mending.ran.length} statements ran.`);
  }
  for (const { sql, failure } of mending.refused) {
    print(`refused with error ${failure.number}: ${sql.split('\n', 1).join('')}`);
  }
  for (const { severity, problem, remedy, sql } of findings) {
    print(`${severity}: ${problem} ${remedy}`);
    sql.forEach((statement) => print(statement));
  }
  if (findings.length === 0) {
    print('Nothing is missing.');
  }
}

function sayJson({ findings, mending }: Outcome, print: (line: string) => void): void {
  const refused = mending.refused.map(({ sql, failure }) => ({ sql, number: failure.number }));
  print(JSON.stringify({ findings, ran: mending.ran, refused }, null, 2));
}

/** Where the database is, without who asks. */
function subjectOf(url: string): string {
  try {
    return addressOf(targetOf(url, 'DATABASE_URL'));
  } catch (error) {
    if (error instanceof ConfigurationError) {
      return 'DATABASE_URL';
    }
    throw error;
  }
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
