import { createBookkeeping } from '../statements/bookkeeping.js';
import { quoteName, quoteSchema, quoteTable } from '../statements/identifier.js';
import type { DatabaseExamination, TableExamination } from './examination.js';

/** `error`: changes cannot be followed. `warning`: they can, and something will hurt. `hint`: it could be better. */
export type FindingSeverity = 'error' | 'warning' | 'hint';

/** Something that is missing, and how to add it. */
export interface Finding {
  readonly severity: FindingSeverity;
  readonly problem: string;
  /** Statements that mend it, to be run by somebody with the rights to; empty where no statement can. */
  readonly sql: readonly string[];
  readonly remedy: string;
}

const DAY_MS = 86_400_000;
/** Versions that wait for clean-up from which on it counts as stalled. */
const STALLED_VERSIONS = 1_000_000n;

/** What a database lacks for its changes to be followed. */
export function databaseFindings(seen: DatabaseExamination, schema: string): readonly Finding[] {
  const database = quoteName(seen.database);
  const findings: Finding[] = [];
  const add = (severity: FindingSeverity, problem: string, remedy: string, ...sql: readonly string[]): void => {
    findings.push({ severity, problem, remedy, sql });
  };
  if (!seen.writable) {
    add(
      'error',
      `${seen.database} is read-only here: a secondary replica knows no changes.`,
      "Connect through the availability group's listener, without ApplicationIntent=ReadOnly.",
    );
  }
  if (!seen.trackingOn) {
    add(
      'error',
      `Change tracking is off in ${seen.database}.`,
      'Turn it on, and keep changes for longer than the longest outage.',
      // Alone in its statement: SQL Server refuses it beside other options (22114).
      `ALTER DATABASE ${database} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);`,
    );
  }
  if (seen.autoCleanup === false) {
    add(
      'warning',
      'Old changes are not cleaned up: the side tables grow for ever.',
      'Turn the clean-up on.',
      `ALTER DATABASE ${database} SET CHANGE_TRACKING (AUTO_CLEANUP = ON);`,
    );
  }
  if (seen.retentionMs !== null && seen.retentionMs < DAY_MS) {
    add(
      'warning',
      `Changes are kept for ${Math.round(seen.retentionMs / 3_600_000)} hours only: a reader that is down for longer reads its tables anew.`,
      'Keep them for longer than the longest outage.',
      `ALTER DATABASE ${database} SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);`,
    );
  }
  if (!seen.snapshotAllowed) {
    add(
      'warning',
      'Snapshots are not allowed: committed rows are read instead, with checks around them, and the stamped reader refuses to read.',
      'Allow them; readers then never wait for writers.',
      `ALTER DATABASE ${database} SET ALLOW_SNAPSHOT_ISOLATION ON;`,
    );
  }
  const missing = seen.bookkeeping.filter(({ exists }) => !exists);
  if (missing.length > 0) {
    add(
      'error',
      `The schema ${schema} lacks ${missing.map(({ table }) => table).join(', ')}.`,
      'Create what positions, leases and the epoch are kept in.',
      ...createBookkeeping(schema).map(({ sql }) => sql),
    );
  } else if (seen.bookkeeping.some(({ mayWrite }) => !mayWrite)) {
    add(
      'error',
      `The user ${seen.user} may not write to the schema ${schema}.`,
      'Let it keep positions and leases.',
      `GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::${quoteSchema(schema)} TO ${quoteName(seen.user)};`,
    );
  }
  return findings;
}

/** What a table lacks for its changes to be followed. */
export function tableFindings(seen: TableExamination, user: string): readonly Finding[] {
  const { table } = seen;
  const quoted = quoteTable(table);
  if (!seen.exists) {
    return [
      {
        severity: 'error',
        problem: `${table} is not there, or not for ${user} to see.`,
        remedy: 'Create it, correct its name, or grant a right on it.',
        sql: [],
      },
    ];
  }
  const findings: Finding[] = [];
  const add = (severity: FindingSeverity, problem: string, remedy: string, ...sql: readonly string[]): void => {
    findings.push({ severity, problem, remedy, sql });
  };
  if (!seen.hasKey) {
    add('error', `${table} has no primary key: its rows have no identity.`, 'Give it one.');
  }
  const rights = [...(seen.maySelect ? [] : ['SELECT']), ...(seen.mayTrack ? [] : ['VIEW CHANGE TRACKING'])];
  if (rights.length > 0) {
    add(
      'error',
      `${user} has not the right to ${rights.join(' and ')} on ${table}.`,
      'Grant it.',
      ...rights.map((right) => `GRANT ${right} ON ${quoted} TO ${quoteName(user)};`),
    );
  }
  if (!seen.tracked && seen.hasKey && seen.mayTrack) {
    add(
      'error',
      `Changes of ${table} are not tracked.`,
      'Track them, with the columns that change.',
      `ALTER TABLE ${quoted} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);`,
    );
  }
  if (seen.tracked && !seen.columnsTracked) {
    add(
      'hint',
      `${table} does not tell which columns changed.`,
      'Where readers use it: end tracking and begin it again with columns. Its readers then read the table anew.',
    );
  }
  for (const { column, type } of seen.unreadable) {
    add(
      'error',
      `${table}.${column} is of the type ${type}, which changes cannot carry.`,
      `Name the columns to read in the option columns, without "${column}".`,
    );
  }
  if (seen.waitingForCleanup > STALLED_VERSIONS) {
    add(
      'warning',
      `${seen.waitingForCleanup} versions of ${table} wait for clean-up: it does not keep up, or a long snapshot holds it.`,
      'Look for snapshot transactions that stay open; sp_flush_CT_internal_table_on_demand cleans a table by hand.',
    );
  }
  return findings;
}
