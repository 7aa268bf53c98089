import { CannotExecuteNotConnectedError, type DataSource, type EntityManager, TypeORMError } from 'typeorm';
import type { BetterSqlite3DataSourceOptions } from 'typeorm/driver/better-sqlite3/BetterSqlite3DataSourceOptions.js';
import { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { EmbeddedStatementError } from '../embedded.errors.js';
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel.js';
import type { RunnerSession } from '../turn/runner-session.js';
import { BorrowedConnection, type Lender } from './borrowed.connection.js';
import { EmbeddedQueryRunner } from './embedded.query-runner.js';
import { NoResultCache } from './no-result.cache.js';

/** How an app's data source on an embedded database is set up. */
export interface EmbeddedDataSourceOptions {
  /** Unique in its app (`@nestjs/typeorm`) and telling: errors name the holder of a turn by it. */
  readonly name: string;
  /** The entities of this app, and only those. */
  readonly entities: NonNullable<BetterSqlite3DataSourceOptions['entities']>;
  /** Whether TypeORM creates and changes the tables of `entities` at start. Default `false`. */
  readonly synchronize?: boolean | undefined;
  /** TypeORM's own: classes or files of migrations. */
  readonly migrations?: NonNullable<BetterSqlite3DataSourceOptions['migrations']> | undefined;
  /** TypeORM's own: whether migrations run at start. Default `false`. */
  readonly migrationsRun?: boolean | undefined;
  /** TypeORM's own: entity subscribers. */
  readonly subscribers?: NonNullable<BetterSqlite3DataSourceOptions['subscribers']> | undefined;
  /** TypeORM's own: how names of tables and columns are made. */
  readonly namingStrategy?: NonNullable<BetterSqlite3DataSourceOptions['namingStrategy']> | undefined;
  /** TypeORM's own: what is logged. Default nothing. */
  readonly logging?: NonNullable<BetterSqlite3DataSourceOptions['logging']> | undefined;
}

/** What `new DataSource(…)` and `TypeOrmModule.forRoot(…)` take. */
export type EmbeddedTypeOrmOptions = BetterSqlite3DataSourceOptions & { readonly name: string };

/** What the options need of the database. */
export interface TypeOrmHost {
  readonly file: string;
  /** The database object itself. */
  readonly database: object;
  /** A new caller's session, named in errors by its data source. */
  session(owner: string): RunnerSession;
  /** @throws EmbeddedDatabaseClosedError */
  checkOpen(): void;
}

/**
 * TypeORM's options for a data source that borrows the connection of `host`.
 *
 * TypeORM makes its driver itself and offers one place where a part of ours sees the data source before it connects: the provider of
 * the query result cache. There the driver's `createQueryRunner` is replaced; the cache itself stores nothing.
 */
export function typeOrmOptions(host: TypeOrmHost, options: EmbeddedDataSourceOptions): EmbeddedTypeOrmOptions {
  const { name, synchronize, migrationsRun, ...others } = options;
  let adopted = false;
  const lender: Lender = {
    borrow: () => {
      host.checkOpen();
      if (!adopted) {
        throw new EmbeddedStatementError(
          `The data source "${name}" replaced the "cache" of its options.`,
          'Leave out "cache": by it the embedded database gives every query runner its own turn.',
        );
      }
    },
  };
  const adopt = (dataSource: DataSource): void => {
    const { driver } = dataSource;
    if (!(driver instanceof BetterSqlite3Driver)) {
      throw new EmbeddedStatementError(
        `The data source "${name}" is of type "${dataSource.options.type}".`,
        'Use the options of EmbeddedDatabase.typeOrmOptions as they are, type "better-sqlite3".',
      );
    }
    adopted = true;
    driver.createQueryRunner = () => {
      if (!dataSource.isInitialized) {
        throw new CannotExecuteNotConnectedError();
      }
      return new EmbeddedQueryRunner(driver, host.session(name), host.database);
    };
    tellNestedWaits(dataSource.manager);
  };
  return {
    ...withoutUndefined(others),
    type: 'better-sqlite3',
    name,
    database: host.file,
    synchronize: synchronize ?? false,
    migrationsRun: migrationsRun ?? false,
    // Statements are kept by the database, for all runners.
    statementCacheSize: 0,
    driver: class extends BorrowedConnection {
      constructor() {
        super(lender);
      }
    },
    cache: {
      provider: (dataSource) => {
        adopt(dataSource);
        return new NoResultCache();
      },
    },
  };
}

type Work<T> = (manager: EntityManager) => Promise<T>;

/** Has what runs inside `transaction(…)` known as such, so that a call that waits for its own transaction fails instead of hanging. */
function tellNestedWaits(manager: EntityManager): void {
  const transaction = manager.transaction.bind(manager);
  const known =
    <T>(work: Work<T>): Work<T> =>
    (given) =>
      given.queryRunner instanceof EmbeddedQueryRunner ? given.queryRunner.inside(() => work(given)) : work(given);
  manager.transaction = <T>(first: IsolationLevel | Work<T>, second?: Work<T>): Promise<T> => {
    if (typeof first === 'function') {
      return transaction(known(first));
    }
    return second === undefined
      ? Promise.reject(new TypeORMError('Transaction method requires a callback.'))
      : transaction(first, known(second));
  };
}

/** Optional options that are given, in the form that TypeORM's types want: absent rather than `undefined`. */
function withoutUndefined(
  options: Omit<EmbeddedDataSourceOptions, 'name' | 'synchronize' | 'migrationsRun'>,
): Pick<BetterSqlite3DataSourceOptions, 'entities' | 'migrations' | 'subscribers' | 'namingStrategy' | 'logging'> {
  const { entities, migrations, subscribers, namingStrategy, logging } = options;
  return {
    entities,
    ...(migrations === undefined ? {} : { migrations }),
    ...(subscribers === undefined ? {} : { subscribers }),
    ...(namingStrategy === undefined ? {} : { namingStrategy }),
    ...(logging === undefined ? {} : { logging }),
  };
}
