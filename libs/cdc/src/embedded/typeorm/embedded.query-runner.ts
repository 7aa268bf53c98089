import { Logger } from '@nestjs/common';
import { QueryRunnerAlreadyReleasedError } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';
import { isRollback, type RunnerSession } from '../turn/runner-session.js';
import { SessionConnection } from './session.connection.js';

/** TypeORM's own type of it. */
type QueryAnswer = ReturnType<BetterSqlite3QueryRunner['query']>;

/**
 * TypeORM's query runner on a turn of its own. TypeORM gives every caller of a SQLite data source the same runner, so that one caller's
 * ROLLBACK or COMMIT ends another one's transaction; here each has one, and overlapping transactions wait for one another.
 */
export class EmbeddedQueryRunner extends BetterSqlite3QueryRunner {
  static readonly #logger = new Logger(EmbeddedQueryRunner.name);
  readonly #session: RunnerSession;
  readonly #sessionConnection: SessionConnection;

  /** @param database the database object that it runs on. */
  constructor(
    driver: BetterSqlite3Driver,
    session: RunnerSession,
    readonly database: object,
  ) {
    super(driver);
    this.#session = session;
    this.#sessionConnection = new SessionConnection(session);
  }

  /** What TypeORM prepares statements on: this caller's view of the connection. */
  override connect(): Promise<SessionConnection> {
    return Promise.resolve(this.#sessionConnection);
  }

  override async query(sql: string, parameters?: unknown[], useStructuredResult?: boolean): QueryAnswer {
    if (this.isReleased) {
      throw new QueryRunnerAlreadyReleasedError();
    }
    const rollback = isRollback(sql);
    if (rollback === 'whole' && (this.#session.failure !== undefined || !this.#session.isEngaged)) {
      // The transaction is gone already, or never began: rolling back finds what it wants, and waits for no turn.
      this.#session.acknowledgeFailure();
      return undefined;
    }
    if (rollback === 'part' && this.#session.failure !== undefined) {
      return undefined;
    }
    return this.#session.within(sql, () => super.query(sql, parameters, useStructuredResult));
  }

  /**
   * Runs `work` in a transaction that refuses writes: all that it reads by this runner is of one snapshot.
   *
   * @throws EmbeddedTurnExpiredError when it took longer than a turn may.
   */
  async snapshot<T>(work: () => Promise<T>): Promise<T> {
    await this.startTransaction();
    try {
      this.#session.readOnly();
      const result = await this.inside(work);
      if (this.#session.failure !== undefined) {
        throw this.#session.failure;
      }
      return result;
    } finally {
      this.#session.writable();
      await this.rollbackTransaction();
    }
  }

  /** Runs what belongs to this runner's transaction: another turn that is asked for inside it is refused instead of waited for. */
  inside<T>(work: () => T): T {
    return this.#session.inside(work);
  }

  /** Switches that it sets on the connection last until {@link afterMigration}, so the turn does, too. */
  override async beforeMigration(): Promise<void> {
    await this.#session.within('beforeMigration', async () => {
      this.#session.pin();
      await super.beforeMigration();
    });
  }

  override async afterMigration(): Promise<void> {
    try {
      await this.#session.within('afterMigration', () => super.afterMigration());
    } finally {
      this.#session.unpin();
    }
  }

  /** Rolls back what is still open: a runner that is released in the middle of a transaction leaves nothing of it. */
  override async release(): Promise<void> {
    if (this.isReleased) {
      return;
    }
    if (this.#session.end()) {
      EmbeddedQueryRunner.#logger.warn('A query runner was released inside a transaction, which is rolled back.');
    }
    await super.release();
    this.isReleased = true;
  }

  protected override loadPragmaRecords(tablePath: string, pragma: string): Promise<unknown> {
    return this.#session.within(`PRAGMA ${pragma}`, () => super.loadPragmaRecords(tablePath, pragma));
  }
}
