import { ConfigurationError } from '@smartpulse/resilience';
import { integerOf } from '../sql/sql-value.js';
import type { SqliteConnection } from '../sql/sqlite.connection.js';

/** The format of our own tables; a file of another one is refused. */
export const FORMAT = 1;

/**
 * Our own tables, beside those of the apps. The log is keyed by (table, key): one net change per row, so that it grows with the rows that
 * changed and not with the changes. Its index (table, version, key) is what pages are read by.
 */
const TABLES = `
CREATE TABLE IF NOT EXISTS smartpulse_database (
  id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, epoch INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS smartpulse_tracked_table (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sqlite_name TEXT NOT NULL UNIQUE COLLATE NOCASE, object_id TEXT NOT NULL,
  begin_version INTEGER NOT NULL, min_valid_version INTEGER NOT NULL, mask_columns TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS smartpulse_change_log (
  table_id INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, operation TEXT NOT NULL,
  changed_mask INTEGER, mask_since INTEGER NOT NULL, created_version INTEGER,
  PRIMARY KEY (table_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS smartpulse_change_log_by_version ON smartpulse_change_log (table_id, version, key);
CREATE TABLE IF NOT EXISTS smartpulse_commit (
  version INTEGER PRIMARY KEY, committed_at_ms INTEGER NOT NULL, origin TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS smartpulse_checkpoint (
  consumer TEXT NOT NULL, source TEXT NOT NULL, table_name TEXT NOT NULL, fence INTEGER NOT NULL, epoch INTEGER NOT NULL,
  object_id TEXT NOT NULL, begin_version INTEGER NOT NULL, schema_hash TEXT NOT NULL, sink_instance TEXT NOT NULL,
  phase TEXT NOT NULL, reason TEXT, version INTEGER NOT NULL, cursor_version INTEGER, cursor_key TEXT, up_to_date_at_ms INTEGER,
  PRIMARY KEY (consumer, source, table_name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS smartpulse_lease (
  resource TEXT PRIMARY KEY, owner TEXT, fence INTEGER NOT NULL, expires_at_ms REAL NOT NULL
) STRICT, WITHOUT ROWID;`;

/** The one row of the database itself. */
export interface DatabaseRow {
  readonly epoch: bigint;
  readonly version: bigint;
}

/**
 * Creates our tables where they are missing, and the database's row: its epoch is the larger of the outside copy + 1 and the seconds of
 * the clock. A file whose epoch is behind the outside copy was restored or copied and begins a new one. All of it or nothing: a file of
 * another format is left as it is.
 *
 * @throws ConfigurationError for a file of another format.
 */
export function openTracking(
  connection: SqliteConnection,
  nowMs: number,
  outsideEpoch: bigint | undefined,
): DatabaseRow {
  connection.exec('BEGIN IMMEDIATE');
  try {
    checkFormat(connection);
    connection.exec(TABLES);
    addLaterColumns(connection);
    const seconds = BigInt(Math.max(0, Math.floor(nowMs / 1_000)));
    const above = outsideEpoch === undefined ? 0n : outsideEpoch + 1n;
    connection.run(
      'INSERT INTO smartpulse_database (id, format, epoch, version) VALUES (1, ?, ?, 0) ON CONFLICT DO NOTHING',
      FORMAT,
      seconds > above ? seconds : above,
    );
    if (outsideEpoch !== undefined) {
      connection.run('UPDATE smartpulse_database SET epoch = ? WHERE epoch < ?', above, outsideEpoch);
    }
    // The connection is the file's only one: whoever held a lease before is gone. The fences stay.
    connection.run('UPDATE smartpulse_lease SET owner = NULL, expires_at_ms = 0.0');
    const row = connection.get('SELECT epoch, version FROM smartpulse_database');
    connection.exec('COMMIT');
    return { epoch: integerOf(row, 'epoch'), version: integerOf(row, 'version') };
  } catch (error) {
    if (connection.inTransaction) {
      connection.exec('ROLLBACK');
    }
    throw error;
  }
}

/** A file that was made before gets the columns that came since; they are empty there. */
function addLaterColumns(connection: SqliteConnection): void {
  const known = connection.get(
    `SELECT 1 FROM pragma_table_info('smartpulse_checkpoint') WHERE name = 'up_to_date_at_ms'`,
  );
  if (known === undefined) {
    connection.exec('ALTER TABLE smartpulse_checkpoint ADD COLUMN up_to_date_at_ms INTEGER');
  }
}

function checkFormat(connection: SqliteConnection): void {
  const known = connection.get(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'smartpulse_database'`);
  const format = known === undefined ? undefined : connection.get('SELECT format FROM smartpulse_database')?.['format'];
  if (format !== undefined && format !== BigInt(FORMAT)) {
    throw new ConfigurationError(
      'EmbeddedDatabase.open',
      [{ option: 'file', problem: `holds format ${String(format)}, expected ${FORMAT}` }],
      'Open it with the version of @smartpulse/cdc that wrote it, or choose another file.',
    );
  }
}
