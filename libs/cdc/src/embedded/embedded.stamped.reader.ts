import type { DataSource, EntityManager } from 'typeorm';
import type { ChangeVersion } from '../change/change-version.js';
import { type Stamped, StampedReader } from '../stamp/stamped.reader.js';
import type { EmbeddedDatabase } from './embedded.database.js';
import { EmbeddedStatementError } from './embedded.errors.js';
import { EmbeddedQueryRunner } from './typeorm/embedded.query-runner.js';

/**
 * Reads data of an {@link EmbeddedDatabase} with its stamp, both from one read transaction on one turn: the value reflects exactly the
 * commits at or below the stamp.
 *
 * @example
 * ```ts
 * const { stamp, value } = await reader.read((manager) => manager.find(Forecast, { where: { unitNo } }));
 * ```
 */
export class EmbeddedStampedReader extends StampedReader<EntityManager> {
  override readonly isolation = 'snapshot';
  readonly #database: EmbeddedDatabase;
  readonly #dataSource: DataSource;

  /** @param dataSource one made from {@link EmbeddedDatabase.typeOrmOptions} of `database`. */
  constructor(database: EmbeddedDatabase, dataSource: DataSource) {
    super();
    this.#database = database;
    this.#dataSource = dataSource;
  }

  /**
   * Runs `work` while no other caller can write. It reads with the given manager only, does nothing slow, and cannot write: its
   * transaction refuses that with SQLite's "attempt to write a readonly database".
   *
   * @throws EmbeddedTurnExpiredError when the work holds the connection for too long.
   */
  override async read<T>(work: (manager: EntityManager) => Promise<T>): Promise<Stamped<T>> {
    const runner = this.#dataSource.createQueryRunner();
    if (!(runner instanceof EmbeddedQueryRunner) || runner.database !== this.#database) {
      throw new EmbeddedStatementError(
        `The data source is not one of the embedded database "${this.#database.name}".`,
        'Make it from the typeOrmOptions of the database that the EmbeddedStampedReader was given.',
      );
    }
    try {
      return await runner.snapshot(async () => {
        const stamp = this.#database.currentVersion();
        return { stamp, value: await work(runner.manager) };
      });
    } finally {
      await runner.release();
    }
  }

  override current(): Promise<ChangeVersion> {
    return Promise.resolve(this.#database.currentVersion());
  }
}
