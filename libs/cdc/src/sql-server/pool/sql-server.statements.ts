import { Logger } from '@nestjs/common';
import { classifySqlServerError, type SqlServerErrorOverrides, type SqlServerFailure } from '../errors/classify.js';
import {
  SecondaryReplicaError,
  SqlServerBookkeepingError,
  SqlServerConnectionError,
  SqlServerStatementError,
} from '../sql-server.errors.js';
import { createBookkeeping, namesLaterColumn } from '../statements/bookkeeping.js';
import type { SqlServerStatement } from '../statements/statement.js';
import type { SqlServerAnswer, SqlServerPool } from './sql-server.pool.js';

/** What all parts on one database share. */
export interface StatementsOptions {
  readonly pool: SqlServerPool;
  /** Names the database in errors. */
  readonly source: string;
  /** Where the bookkeeping is. */
  readonly schema: string;
  readonly lockTimeoutMs: number;
  /** Creates the bookkeeping before the first statement where it is missing. */
  readonly createBookkeeping: boolean;
  readonly errorClasses?: SqlServerErrorOverrides | undefined;
}

const INVALID_COLUMN = 207;
const INVALID_OBJECT = 208;
const NOT_OPENED = 4060;
/** A database that was never opened and cannot be for so often is none that fails over: its name is wrong. */
const TRIES_TO_OPEN = 5;
const ON_SECONDARY = 22117;
/** Object or column exists, name is in use, key is there: another replica was faster. */
const MADE_BY_ANOTHER: readonly number[] = [2601, 2627, 2705, 2714, 2759];

/** Runs statements and tells what went wrong in this package's own errors. */
export class SqlServerStatements {
  readonly #logger = new Logger(SqlServerStatements.name);
  readonly #options: StatementsOptions;
  #prepared: Promise<void> | undefined;
  #answered = false;
  #notOpened = 0;

  constructor(options: StatementsOptions) {
    this.#options = options;
  }

  get source(): string {
    return this.#options.source;
  }

  get schema(): string {
    return this.#options.schema;
  }

  get limits(): { readonly lockTimeoutMs: number } {
    return { lockTimeoutMs: this.#options.lockTimeoutMs };
  }

  /**
   * @throws SqlServerStatementError or SqlServerConnectionError with the class of the failure, or SqlServerBookkeepingError,
   * SecondaryReplicaError; the signal's reason when it aborts.
   */
  async run(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    if (this.#options.createBookkeeping) {
      this.#prepared ??= this.#prepare().catch((error: unknown) => {
        this.#prepared = undefined;
        throw error;
      });
      await this.#prepared;
    }
    return this.#send(statement, signal);
  }

  /** Creates the bookkeeping where it is missing. */
  async #prepare(): Promise<void> {
    for (const statement of createBookkeeping(this.schema)) {
      try {
        await this.#send(statement);
      } catch (error) {
        if (!SqlServerStatementError.is(error) || !MADE_BY_ANOTHER.includes(error.failure.number ?? 0)) {
          throw error;
        }
        this.#logger.debug(`"${statement.name}": another replica was faster.`);
      }
    }
  }

  async #send(statement: SqlServerStatement, signal?: AbortSignal): Promise<SqlServerAnswer> {
    try {
      const answer = await this.#options.pool.run(statement, signal);
      this.#answered = true;
      return answer;
    } catch (error) {
      if (signal?.aborted === true) {
        throw signal.reason;
      }
      throw this.explain(statement, error);
    }
  }

  /** A database that cannot be opened fails over, or was never there: which of them shows only in time. */
  #judged(failure: SqlServerFailure): SqlServerFailure {
    if (failure.number !== NOT_OPENED || failure.class !== 'connection' || this.#answered) {
      return failure;
    }
    this.#notOpened += 1;
    return this.#notOpened > TRIES_TO_OPEN ? { ...failure, class: 'configuration' } : failure;
  }

  /** What a driver threw for a statement, as an error of this package. */
  explain(statement: SqlServerStatement, error: unknown): Error {
    const failure = this.#judged(classifySqlServerError(error, this.#options.errorClasses));
    if (SqlServerConnectionError.is(error)) {
      return new SqlServerConnectionError(error.address, error.problem, failure, error.cause);
    }
    if (failure.number === ON_SECONDARY) {
      return new SecondaryReplicaError(this.source, error);
    }
    const { number, message } = failure;
    if (
      (number === INVALID_OBJECT && message?.includes(`${this.schema}.cdc_`) === true) ||
      (number === INVALID_COLUMN && message !== null && namesLaterColumn(message))
    ) {
      return new SqlServerBookkeepingError(this.source, this.schema, error);
    }
    // What is no answer of a driver (a missing package, a closed pool of ours) says itself what it is.
    return failure.class === 'unknown' &&
      failure.number === null &&
      failure.code?.startsWith('SMARTPULSE_') === true &&
      error instanceof Error
      ? error
      : new SqlServerStatementError(this.source, statement.name, failure, error);
  }
}
