import { checkOptions } from '@smartpulse/resilience';
import { Logger } from '@nestjs/common';
import type { DataSource as TypeOrmDataSource, EntityManager, QueryRunner } from 'typeorm';
import { z } from 'zod';
import type { ChangeVersion } from '../../change/change-version.js';
import { type Stamped, StampedReader } from '../../stamp/stamped.reader.js';
import { bigintIn, firstOf, optionalBigintIn } from '../pool/cells.js';
import type { SqlServerStatements } from '../pool/sql-server.statements.js';
import { ChangeTrackingOffError, SqlServerBookkeepingError } from '../sql-server.errors.js';
import { readStamp } from '../statements/epochs.js';

/** How data is read with its stamp. */
export interface SqlServerStampedReaderOptions {
  /**
   * `snapshot` (default): stamp and data from one snapshot; the database must allow it. `statement`: the stamp in an earlier statement, for
   * databases that do not; values may then be newer than their stamp.
   */
  readonly isolation?: 'snapshot' | 'statement' | undefined;
  /** Most connections. Default 10. */
  readonly poolSize?: number | undefined;
}

const optionsSchema = z.strictObject({
  isolation: z.enum(['snapshot', 'statement'], 'expected "snapshot" or "statement"').default('snapshot'),
  poolSize: z
    .int('expected a whole number of connections from 1 to 1000')
    .min(1, 'expected a whole number of connections from 1 to 1000')
    .max(1_000, 'expected a whole number of connections from 1 to 1000')
    .default(10),
});

/** What the statement of the stamp answers. */
interface StampRow {
  readonly current_version: string | null;
  readonly epoch: string;
  /** Transactions that are open on the connection, one inside the other. */
  readonly depth: number;
}

/**
 * Reads data of SQL Server with its stamp, which is read first. It works on connections of its own, made as those of the app's data source,
 * because SQL Server leaves a session at the level of its last transaction, and whoever borrowed it next would read snapshots unawares.
 *
 * @example
 * ```ts
 * const { stamp, value } = await reader.read((manager) => manager.find(Forecast, { where: { unitNo } }));
 * ```
 */
export class SqlServerStampedReader extends StampedReader<EntityManager> {
  override readonly isolation: 'snapshot' | 'statement';
  readonly #logger = new Logger(SqlServerStampedReader.name);
  readonly #statements: SqlServerStatements;
  readonly #template: TypeOrmDataSource;
  readonly #poolSize: number;
  #opening: Promise<TypeOrmDataSource> | undefined;

  /**
   * @param template the app's data source, of the type `mssql`: its options are taken over, it itself is neither used nor closed.
   * @throws ConfigurationError
   */
  constructor(
    statements: SqlServerStatements,
    template: TypeOrmDataSource,
    options: SqlServerStampedReaderOptions = {},
  ) {
    super();
    const { isolation, poolSize } = checkOptions('SqlServerStampedReader', optionsSchema, options);
    checkOptions('SqlServerStampedReader', z.object({ template: isMssql }), { template });
    this.isolation = isolation;
    this.#statements = statements;
    this.#template = template;
    this.#poolSize = poolSize;
  }

  override async read<T>(work: (manager: EntityManager) => Promise<T>): Promise<Stamped<T>> {
    const dataSource = await this.#open();
    // Never one of the slaves of a replicated data source.
    const runner = dataSource.createQueryRunner('master');
    try {
      if (this.isolation === 'statement') {
        const stamp = this.#stampIn(await this.#ask(runner));
        return { stamp, value: await work(runner.manager) };
      }
      await runner.startTransaction('SNAPSHOT');
      try {
        const stamp = this.#stampIn(await this.#askFirst(runner));
        const value = await work(runner.manager);
        await runner.commitTransaction();
        return { stamp, value };
      } catch (error) {
        await this.#rollBack(runner);
        throw error;
      }
    } finally {
      await runner.release();
    }
  }

  override async current(): Promise<ChangeVersion> {
    const answer = await this.#statements.run(readStamp(this.#statements.schema));
    const row = firstOf(answer, 0);
    return this.#versionOf(row === undefined ? undefined : [optionalBigintIn(row, 0), bigintIn(row, 1)]);
  }

  /** Closes its connections. Idempotent. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const dataSource = await opening?.catch((error: unknown) => {
      this.#logger.debug(`It never opened (${error instanceof Error ? error.name : typeof error}).`);
    });
    await dataSource?.destroy();
  }

  /** The server may have rolled back already, or be gone: neither may hide why. */
  async #rollBack(runner: QueryRunner): Promise<void> {
    try {
      await runner.rollbackTransaction();
    } catch (error) {
      this.#logger.debug(`The transaction was over (${error instanceof Error ? error.name : typeof error}).`);
    }
  }

  /**
   * What a new snapshot answers. The driver lends a connection again whose COMMIT failed and which may hold its transaction still: one begun
   * inside that reads its old snapshot, and so would every later one. Rolling back ends them all.
   */
  async #askFirst(runner: QueryRunner): Promise<readonly StampRow[]> {
    for (;;) {
      const rows = await this.#ask(runner);
      if (rows.every(({ depth }) => depth <= 1)) {
        return rows;
      }
      await runner.rollbackTransaction();
      await runner.startTransaction('SNAPSHOT');
    }
  }

  /** The first statement that touches data: here it shows that the database allows no snapshots, or that the connection is gone. */
  async #ask(runner: QueryRunner): Promise<readonly StampRow[]> {
    const statement = readStamp(this.#statements.schema);
    try {
      const rows: readonly StampRow[] = await runner.query(statement.sql);
      return rows;
    } catch (error) {
      throw this.#statements.explain(statement, error);
    }
  }

  #stampIn(rows: readonly StampRow[]): ChangeVersion {
    const [row] = rows;
    return this.#versionOf(
      row === undefined
        ? undefined
        : [row.current_version === null ? null : BigInt(row.current_version), BigInt(row.epoch)],
    );
  }

  #versionOf(row: readonly [version: bigint | null, epoch: bigint] | undefined): ChangeVersion {
    const { source, schema } = this.#statements;
    if (row === undefined) {
      throw new SqlServerBookkeepingError(source, schema);
    }
    const [version, epoch] = row;
    if (version === null) {
      throw new ChangeTrackingOffError(source);
    }
    return { epoch, version };
  }

  #open(): Promise<TypeOrmDataSource> {
    this.#opening ??= this.#connect().catch((error: unknown) => {
      // The next reader tries again.
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<TypeOrmDataSource> {
    // Says what is missing in this package's own errors, and adds the bookkeeping where that is wanted.
    await this.current();
    const { DataSource } = await import('typeorm');
    const { options } = this.#template;
    if (options.type !== 'mssql') {
      throw new TypeError('unreachable: the constructor has checked the type');
    }
    return new DataSource({
      ...options,
      // Nothing of the schema is its business.
      synchronize: false,
      dropSchema: false,
      migrationsRun: false,
      cache: false,
      pool: { ...options.pool, max: this.#poolSize },
      options: { ...options.options, readOnlyIntent: false },
    }).initialize();
  }
}

const isMssql = z.custom<TypeOrmDataSource>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'options' in value &&
    typeof value.options === 'object' &&
    value.options !== null &&
    'type' in value.options &&
    value.options.type === 'mssql',
  'expected a DataSource of the type "mssql"',
);
