import { addBookkeepingColumn, createBookkeeping } from '../statements/bookkeeping.js';
import { quoteName, quoteSchema, quoteTable } from '../statements/identifier.js';
import type { DatabaseExamination, TableExamination } from './examination.js';

/** `error`: changes cannot be followed. `warning`: they can, and something will hurt. `hint`: it could be better. */
export type FindingSeverity = 'error' | 'warning' | 'hint';

/** What can be found. Stable: for scripts. */
export type FindingCode =
  | 'unreachable'
  | 'loginFailed'
  | 'databaseNotOpened'
  | 'certificateRefused'
  | 'encryptionRequired'
  | 'examinationFailed'
  | 'versionTooOld'
  | 'compatibilityTooLow'
  | 'secondaryReplica'
  | 'trackingOff'
  | 'cleanupOff'
  | 'retentionShort'
  | 'snapshotsOff'
  | 'bookkeepingMissing'
  | 'bookkeepingOutdated'
  | 'bookkeepingNotCreatable'
  | 'bookkeepingNotWritable'
  | 'tableMissing'
  | 'primaryKeyMissing'
  | 'rightsMissing'
  | 'tableNotTracked'
  | 'columnsNotTracked'
  | 'columnTypeNotCarried'
  | 'keyIgnoresCase'
  | 'cleanupBehind';

/** Something that is missing, and how to add it. */
export interface Finding {
  readonly code: FindingCode;
  /** The server, the database or the table that it is about. */
  readonly subject: string;
  readonly severity: FindingSeverity;
  readonly problem: string;
  /** Statements that mend it, to be run by somebody with the rights to; empty where no statement can. */
  readonly sql: readonly string[];
  readonly remedy: string;
}

const DAY_MS = 86_400_000;
/** SQL Server 2016: what is sent uses DATEDIFF_BIG. */
const OLDEST_MAJOR = 13;
/** Azure SQL Database and Managed Instance. */
const EDITIONS_OF_AZURE: readonly number[] = [5, 8];
/** Below it the server refuses CHANGETABLE. */
const LOWEST_COMPATIBILITY = 90;
/** Versions that wait for clean-up from which on it counts as stalled. */
const STALLED_VERSIONS = 1_000_000n;

/** What a database lacks for its changes to be followed. */
export function databaseFindings(seen: DatabaseExamination, schema: string): readonly Finding[] {
  const database = quoteName(seen.database);
  const { findings, add } = collector(seen.database);
  if (!seen.writable) {
    return [secondaryFinding(seen.database)];
  }
  if (Number.parseInt(seen.productVersion, 10) < OLDEST_MAJOR && !EDITIONS_OF_AZURE.includes(seen.engineEdition)) {
    add(
      'versionTooOld',
      'error',
      `The server has version ${seen.productVersion}: older than SQL Server 2016 (13), it does not understand what is sent.`,
      'Update the server.',
    );
  }
  if (seen.compatibilityLevel < LOWEST_COMPATIBILITY) {
    add(
      'compatibilityTooLow',
      'error',
      `${seen.database} is on compatibility level ${seen.compatibilityLevel}: the server refuses to tell changes below ${LOWEST_COMPATIBILITY}.`,
      "Raise it, after a look at what else it changes in the application's queries.",
      `ALTER DATABASE ${database} SET COMPATIBILITY_LEVEL = 130;`,
    );
  }
  if (!seen.trackingOn) {
    add(
      'trackingOff',
      'error',
      `Change tracking is off in ${seen.database}.`,
      'Turn it on, and keep changes for longer than the longest outage.',
      // Alone in its statement: SQL Server refuses it beside other options (22114).
      `ALTER DATABASE ${database} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);`,
    );
  }
  if (seen.autoCleanup === false) {
    add(
      'cleanupOff',
      'warning',
      'Old changes are not cleaned up: the side tables grow for ever.',
      'Turn the clean-up on.',
      `ALTER DATABASE ${database} SET CHANGE_TRACKING (AUTO_CLEANUP = ON);`,
    );
  }
  if (seen.retentionMs !== null && seen.retentionMs < DAY_MS) {
    add(
      'retentionShort',
      'warning',
      `Changes are kept for ${Math.round(seen.retentionMs / 3_600_000)} hours only: a reader that is down for longer reads its tables anew.`,
      'Keep them for longer than the longest outage.',
      `ALTER DATABASE ${database} SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);`,
    );
  }
  if (!seen.snapshotAllowed) {
    add(
      'snapshotsOff',
      'warning',
      'Snapshots are not allowed: committed rows are read instead, with checks around them, and the stamped reader refuses to read.',
      'Allow them; readers then never wait for writers.',
      `ALTER DATABASE ${database} SET ALLOW_SNAPSHOT_ISOLATION ON;`,
    );
  }
  for (const { table, missingColumns } of seen.bookkeeping.filter((one) => one.missingColumns.length > 0)) {
    const statements = missingColumns.map((column) => addBookkeepingColumn(table, column, schema));
    const ours = statements.every((statement) => statement !== undefined);
    add(
      'bookkeepingOutdated',
      'error',
      `${schema}.${table} lacks ${missingColumns.join(', ')}: ${ours ? 'an earlier version made it' : 'it is none that change capture made'}.`,
      ours
        ? 'Add what came since; nothing is read anew for it.'
        : 'Name another schema by the option schema, or drop the table: what is missing is then created, and every table read anew.',
      ...statements.flatMap((statement) => statement?.sql ?? []),
    );
  }
  const missing = seen.bookkeeping.filter(({ exists }) => !exists);
  if (missing.length > 0) {
    add(
      'bookkeepingMissing',
      'error',
      `The schema ${schema} lacks ${missing.map(({ table }) => table).join(', ')}.`,
      'Create what positions, leases and the epoch are kept in.',
      ...createBookkeeping(schema).map(({ sql }) => sql),
    );
    if (!seen.mayCreate) {
      add(
        'bookkeepingNotCreatable',
        'error',
        `The user ${seen.user} may not create schemas and tables in ${seen.database}.`,
        'Let somebody run these statements who may, then grant the user the use of them.',
      );
    }
  } else if (seen.bookkeeping.some(({ mayWrite }) => !mayWrite)) {
    add(
      'bookkeepingNotWritable',
      'error',
      `The user ${seen.user} may not write to the schema ${schema}.`,
      'Let it keep positions and leases.',
      `GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::${quoteSchema(schema)} TO ${quoteName(seen.user)};`,
    );
  }
  return findings;
}

/**
 * What a table lacks for its changes to be followed.
 *
 * @param masks whether readers want to know which columns changed.
 */
export function tableFindings(seen: TableExamination, user: string, masks = false): readonly Finding[] {
  const { table } = seen;
  const quoted = quoteTable(table);
  if (!seen.exists) {
    return [
      {
        code: 'tableMissing',
        subject: table,
        severity: 'error',
        problem: `${table} is not there, or not for ${user} to see.`,
        remedy: 'Create it, correct its name, or grant a right on it.',
        sql: [],
      },
    ];
  }
  const { findings, add } = collector(table);
  if (!seen.hasKey) {
    add(
      'primaryKeyMissing',
      'error',
      `${table} has no primary key: its rows have no identity.`,
      `Give it one: ALTER TABLE ${quoted} ADD PRIMARY KEY (…);`,
    );
  }
  const rights = [...(seen.maySelect ? [] : ['SELECT']), ...(seen.mayTrack ? [] : ['VIEW CHANGE TRACKING'])];
  if (rights.length > 0) {
    add(
      'rightsMissing',
      'error',
      `${user} has not the right to ${rights.join(' and ')} on ${table}.`,
      'Grant it.',
      ...rights.map((right) => `GRANT ${right} ON ${quoted} TO ${quoteName(user)};`),
    );
  }
  if (!seen.tracked && seen.hasKey && seen.mayTrack) {
    add(
      'tableNotTracked',
      'error',
      `Changes of ${table} are not tracked.`,
      'Track them, with the columns that change.',
      `ALTER TABLE ${quoted} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);`,
    );
  }
  if (seen.tracked && !seen.columnsTracked) {
    add(
      'columnsNotTracked',
      masks ? 'warning' : 'hint',
      `${table} does not tell which columns changed.`,
      'Where readers use it: end tracking and begin it again with columns. Its readers then read the table anew.',
      // Only where somebody asked for it: it costs every reader a resync.
      ...(masks
        ? [
            `ALTER TABLE ${quoted} DISABLE CHANGE_TRACKING;`,
            `ALTER TABLE ${quoted} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);`,
          ]
        : []),
    );
  }
  for (const { column, type } of seen.unreadable) {
    add(
      'columnTypeNotCarried',
      'error',
      `${table}.${column} is of the type ${type}, which changes cannot carry.`,
      `Name the columns to read in the option columns, without "${column}".`,
    );
  }
  for (const { column, collation } of seen.looseKeys) {
    add(
      'keyIgnoresCase',
      'hint',
      `${table}.${column}, of the key, is compared by ${collation}: spellings that it takes for equal are one key to the server, and several to whoever reads changes.`,
      'Where a key may be written anew in another spelling, declare the column with a collation that tells them apart, like Latin1_General_100_BIN2.',
    );
  }
  if (seen.waitingForCleanup > STALLED_VERSIONS) {
    add(
      'cleanupBehind',
      'warning',
      `${seen.waitingForCleanup} versions of ${table} wait for clean-up: it does not keep up, or a long snapshot holds it.`,
      'Look for snapshot transactions that stay open; sp_flush_CT_internal_table_on_demand cleans a table by hand.',
    );
  }
  return findings;
}

/** The connection goes to a secondary: it has nothing else to say. */
export function secondaryFinding(database: string): Finding {
  return {
    code: 'secondaryReplica',
    subject: database,
    severity: 'error',
    problem: `${database} is read-only here: a secondary replica knows no changes.`,
    remedy: "Connect through the availability group's listener, without ApplicationIntent=ReadOnly.",
    sql: [],
  };
}

function collector(subject: string) {
  const findings: Finding[] = [];
  const add = (
    code: FindingCode,
    severity: FindingSeverity,
    problem: string,
    remedy: string,
    ...sql: readonly string[]
  ): void => {
    findings.push({ code, subject, severity, problem, remedy, sql });
  };
  return { findings, add };
}
