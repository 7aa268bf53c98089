import type { Clock } from '@smartpulse/resilience';
import { integerOf } from '../sql/sql-value.js';
import type { SqliteConnection } from '../sql/sqlite.connection.js';

/** Rows that one step of a clean-up deletes at most: some milliseconds. */
const CLEAN_UP_STEP = 2_000;

/** What one step of a clean-up did. */
export interface CleanUpStep {
  readonly deleted: number;
  readonly finished: boolean;
}

/**
 * The counter and the log. Triggers write log rows under counter + 1; the commit path adds one if there are any, in the same transaction.
 * So all rows of a transaction share a version, and a rollback, of a whole transaction or to a savepoint, takes its rows and its number
 * along: no version is ever missing or taken twice.
 */
export class ChangeLog {
  readonly #connection: SqliteConnection;
  readonly #clock: Clock;
  #epoch: bigint;
  #version: bigint;

  constructor(connection: SqliteConnection, clock: Clock, start: { readonly epoch: bigint; readonly version: bigint }) {
    this.#connection = connection;
    this.#clock = clock;
    this.#epoch = start.epoch;
    this.#version = start.version;
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  /** The version of the last commit. */
  get version(): bigint {
    return this.#version;
  }

  /** Commits the open transaction and numbers it if it touched a tracked table. */
  commit(origin: string | null): void {
    const touched =
      // CROSS JOIN keeps the order: a few tables, and in each a look at the end of its index.
      this.#connection.get(
        `SELECT 1 FROM smartpulse_tracked_table t CROSS JOIN smartpulse_change_log l ON l.table_id = t.id AND l.version > ? LIMIT 1`,
        this.#version,
      ) !== undefined;
    if (!touched) {
      this.#connection.exec('COMMIT');
      return;
    }
    this.commitNumbered(origin);
  }

  /** Commits the open transaction under a version of its own, whatever it touched. */
  commitNumbered(origin: string | null): void {
    const version = this.#version + 1n;
    this.#connection.run('UPDATE smartpulse_database SET version = ?', version);
    this.#connection.run(
      'INSERT INTO smartpulse_commit (version, committed_at_ms, origin) VALUES (?, ?, ?)',
      version,
      Math.trunc(this.#clock.now()),
      origin,
    );
    try {
      this.#connection.exec('COMMIT');
    } catch (error) {
      // A deferred constraint refused it and the transaction is still open: its owner may mend it and commit again.
      if (this.#connection.inTransaction) {
        this.#connection.run('DELETE FROM smartpulse_commit WHERE version = ?', version);
        this.#connection.run('UPDATE smartpulse_database SET version = ?', this.#version);
      }
      throw error;
    }
    this.#version = version;
  }

  /** Compare-and-set; answers the epoch that holds now. The caller is inside a transaction and commits it. */
  raiseEpoch(from: bigint, atLeast = 0n): bigint {
    if (atLeast > this.#epoch) {
      return atLeast;
    }
    if (this.#epoch !== from) {
      return this.#epoch;
    }
    const seconds = BigInt(Math.max(0, Math.floor(this.#clock.now() / 1_000)));
    return seconds > from ? seconds : from + 1n;
  }

  /** Takes over what {@link raiseEpoch} answered, once it is committed. */
  adoptEpoch(epoch: bigint): void {
    this.#epoch = epoch;
  }

  /** The last version of which all commits up to it are older than `retentionMs`. */
  expiredVersion(retentionMs: number): bigint {
    const kept = this.#connection.get(
      'SELECT version FROM smartpulse_commit WHERE committed_at_ms > ? ORDER BY version LIMIT 1',
      Math.trunc(this.#clock.now() - retentionMs),
    );
    return kept === undefined ? this.#version : integerOf(kept, 'version') - 1n;
  }

  /**
   * Deletes a bounded part of what is at or below `version`. The oldest valid position moves first: a reader is told that changes are
   * gone before they are. The caller is inside a transaction and commits it.
   */
  cleanUpStep(version: bigint): CleanUpStep {
    this.#connection.run(
      'UPDATE smartpulse_tracked_table SET min_valid_version = ? WHERE min_valid_version < ?',
      version,
      version,
    );
    let deleted = 0;
    for (const { id } of this.#connection.all('SELECT id FROM smartpulse_tracked_table')) {
      deleted += this.#connection.run(
        `DELETE FROM smartpulse_change_log WHERE table_id = ?1 AND key IN
          (SELECT key FROM smartpulse_change_log WHERE table_id = ?1 AND version <= ?2 ORDER BY version LIMIT ?3)`,
        id,
        version,
        CLEAN_UP_STEP - deleted,
      );
    }
    const commits = this.#connection.run(
      'DELETE FROM smartpulse_commit WHERE version IN (SELECT version FROM smartpulse_commit WHERE version <= ? ORDER BY version LIMIT ?)',
      version,
      CLEAN_UP_STEP,
    );
    return { deleted, finished: deleted < CLEAN_UP_STEP && commits < CLEAN_UP_STEP };
  }
}
