import {
  databaseAlreadyTracked,
  databaseNotTracked,
  tableAlreadyTracked,
  tablesStillTracked,
  trackingIsOff,
  trackingNeedsKey,
  trackingOffInDatabase,
  trackingOnTimestampKey,
} from '../errors/object-faults.js';
import { type Database } from '../storage/database.js';
import { type Table } from '../storage/table.js';
import { type Retention } from './database-tracking.js';
import { TableTracking } from './table-tracking.js';

/** The settings in parentheses after `SET CHANGE_TRACKING`. */
export interface TrackingSettings {
  readonly retention?: Retention;
  readonly autoCleanup?: boolean;
}

/** @throws 5088 */
export function enableDatabaseTracking(database: Database, settings: TrackingSettings): void {
  if (database.changeTracking.enabled) {
    throw databaseAlreadyTracked(database.name);
  }
  database.changeTracking.enabled = true;
  database.changeTracking.autoCleanup = true;
  database.changeTracking.retention = { period: 2, unit: 'days' };
  applySettings(database, settings);
}

/** @throws 5089 */
export function changeTrackingSettings(database: Database, settings: TrackingSettings): void {
  if (!database.changeTracking.enabled) {
    throw databaseNotTracked(database.name, 2);
  }
  applySettings(database, settings);
}

/** The counter stays where it is. @throws 5089, 22115 */
export function disableDatabaseTracking(database: Database): void {
  if (!database.changeTracking.enabled) {
    throw databaseNotTracked(database.name, 1);
  }
  if (database.tables.some(({ tracking }) => tracking !== undefined)) {
    throw tablesStillTracked(database.name);
  }
  database.changeTracking.enabled = false;
}

/** @throws 1718, 4996, 4997, 4999 */
export function enableTableTracking(table: Table, tracksColumns: boolean): void {
  const { database, primaryKey } = table;
  if (!database.changeTracking.enabled) {
    throw trackingOffInDatabase(database.name, table.name);
  }
  if (table.tracking !== undefined) {
    throw tableAlreadyTracked(table.name);
  }
  if (primaryKey === undefined) {
    throw trackingNeedsKey(table.name);
  }
  if (primaryKey.columns.some((index) => table.columns[index]?.type.name === 'rowversion')) {
    throw trackingOnTimestampKey(table.name);
  }
  table.tracking = new TableTracking({ tracksColumns, beginVersion: database.changeTracking.version });
}

/** @throws 4998 */
export function disableTableTracking(table: Table): void {
  if (table.tracking === undefined) {
    throw trackingIsOff(table.name);
  }
  table.tracking = undefined;
}

/** What the clean-up task does for what is older than `upTo`: side tables first, then the table of commits. */
export function cleanUp(database: Database, upTo: bigint): void {
  const { version } = database.changeTracking;
  const reachable = upTo > version ? version : upTo;
  for (const { tracking } of database.tables) {
    tracking?.cleanUp(reachable);
  }
  database.changeTracking.forgetCommits(reachable);
}

/** Cleans up what is older than the retention. @returns the version up to which; `undefined` when nothing is. */
export function cleanUpExpired(database: Database, nowMs: number): bigint | undefined {
  const { changeTracking } = database;
  const expired = changeTracking.enabled && changeTracking.autoCleanup ? changeTracking.expired(nowMs) : undefined;
  if (expired !== undefined) {
    cleanUp(database, expired);
  }
  return expired;
}

/** Empties a table without a change: its readers find out by the begin version, or not at all. */
export function truncate(table: Table): void {
  table.clear();
  table.tracking?.restart(table.database.changeTracking.version);
}

function applySettings(database: Database, { retention, autoCleanup }: TrackingSettings): void {
  if (retention !== undefined) {
    database.changeTracking.retention = retention;
  }
  if (autoCleanup !== undefined) {
    database.changeTracking.autoCleanup = autoCleanup;
  }
}
