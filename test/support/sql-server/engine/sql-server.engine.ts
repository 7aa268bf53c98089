import { type Clock } from '@smartpulse/resilience';
import { TestDatabase } from './direct/test-database.js';
import { noSuchDatabase } from './errors/object-faults.js';
import { Database } from './storage/database.js';
import { TransactionManager } from './storage/transaction-manager.js';

/** How the engine is set up. */
export interface SqlServerEngineOptions {
  readonly clock: Clock;
}

/** A SQL Server in memory, for tests: change tracking, snapshots and locks as SQL Server has them. */
export class SqlServerEngine {
  readonly #transactions: TransactionManager;
  readonly #databases = new Map<string, Database>();

  constructor({ clock }: SqlServerEngineOptions) {
    this.#transactions = new TransactionManager(clock);
  }

  /** Creates a database; its tracking is off, as after CREATE DATABASE. */
  createDatabase(name: string): TestDatabase {
    const database = new Database(this.#databases.size + 5, name, this.#transactions);
    this.#databases.set(name.toLowerCase(), database);
    return this.database(name);
  }

  /** The database in the hands of a test. @throws 911 */
  database(name: string): TestDatabase {
    const database = this.#databases.get(name.toLowerCase());
    if (database === undefined) {
      throw noSuchDatabase(name);
    }
    return new TestDatabase(database, this.#transactions, () => undefined);
  }
}
