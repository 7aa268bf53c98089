import { type Clock, type Random } from '@smartpulse/resilience';
import { type SqlEngine, type SqlLogin } from '../seam.js';
import { TestDatabase } from './direct/test-database.js';
import {
  alreadyExists,
  cannotOpenDatabase,
  databaseInUse,
  loginFailed,
  noSuchDatabase,
  notReadable,
  readIntentOnly,
} from './errors/object-faults.js';
import { EngineFaults } from './faults/engine-faults.js';
import { BatchCache } from './sql/parse/batch-cache.js';
import { EngineSession } from './sql/run/engine.session.js';
import { PreparedTexts } from './sql/run/prepared-texts.js';
import { type ServerContext, type ServerProduct, SessionState } from './sql/session-state.js';
import { Database } from './storage/database.js';
import { TransactionManager } from './storage/transaction-manager.js';

/** How the engine is set up. */
export interface SqlServerEngineOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** `@@SERVERNAME`. Default `TESTSERVER`. */
  readonly name?: string;
  /** Default: SQL Server 2025. */
  readonly product?: ServerProduct;
  /** What many engines of one test share, so that each text is parsed once. Default: its own. */
  readonly batches?: BatchCache;
}

const SQL_SERVER_2025: ServerProduct = { version: '17.0.1000.7', engineEdition: 3 };

/** Sessions get numbers from here, as those of users do. */
const FIRST_SESSION = 51;
/** 1 is `master`, and below this are the system's others. */
const FIRST_DATABASE = 5;

/**
 * A SQL Server in memory, for tests: change tracking, snapshots, locks and errors as SQL Server has them, and of Transact-SQL what this
 * project and its drivers say. The login `sa` with any password may do everything.
 */
export class SqlServerEngine implements SqlEngine {
  /** What goes wrong in it, statement by statement. */
  readonly faults: EngineFaults;
  readonly #context: ServerContext;
  readonly #databases = new Map<string, Database>();
  readonly #sessions = new Set<EngineSession>();
  readonly #logins = new Map<string, string>();
  #nextSession = FIRST_SESSION;
  #nextDatabase = FIRST_DATABASE;

  constructor({
    clock,
    random,
    name = 'TESTSERVER',
    product = SQL_SERVER_2025,
    batches = new BatchCache(),
  }: SqlServerEngineOptions) {
    this.faults = new EngineFaults(random);
    this.#context = {
      name,
      product,
      random,
      transactions: new TransactionManager(clock),
      faults: this.faults,
      batches,
      prepared: new PreparedTexts(),
      databases: () => [...this.#databases.values()],
      findDatabase: (wanted) => this.#databases.get(wanted.toLowerCase()),
      createDatabase: (wanted) => void this.createDatabase(wanted),
      dropDatabase: (wanted) => this.dropDatabase(wanted),
      endSessions: (database, but) => this.#end((one) => isOf(one, database) && one.state !== but),
    };
    this.createDatabase('master');
  }

  /** Sessions that are open. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** The databases that there are. */
  get databaseNames(): readonly string[] {
    return [...this.#databases.values()].map(({ name }) => name);
  }

  /** Sessions that wait for a lock. */
  get waitingSessions(): number {
    return this.#context.transactions.locks.waiting;
  }

  /** Creates a database; its tracking is off, as after CREATE DATABASE. */
  createDatabase(name: string): TestDatabase {
    const key = name.toLowerCase();
    if (this.#databases.has(key)) {
      throw alreadyExists(name);
    }
    const id = this.#databases.size === 0 ? 1 : this.#nextDatabase++;
    this.#databases.set(key, new Database(id, name, this.#context.transactions));
    return this.database(name);
  }

  /** The database in the hands of a test. @throws 911 */
  database(name: string): TestDatabase {
    const database = this.#databases.get(name.toLowerCase());
    if (database === undefined) {
      throw noSuchDatabase(name);
    }
    return new TestDatabase(database, this.#context.transactions, () => this.killSessions(name));
  }

  /** @throws 911, 3702 while sessions are in it. */
  dropDatabase(name: string): void {
    if (!this.#databases.has(name.toLowerCase())) {
      throw noSuchDatabase(name);
    }
    if ([...this.#sessions].some((session) => isOf(session, name))) {
      throw databaseInUse(name);
    }
    this.#databases.delete(name.toLowerCase());
  }

  /** A login with a password; in a database it is a user of the same name, once that is added or granted something. */
  addLogin(user: string, password: string): void {
    this.#logins.set(user.toLowerCase(), password);
  }

  /** Ends the sessions of a database, or all, as KILL does. */
  killSessions(database?: string): void {
    this.#end((session) => database === undefined || isOf(session, database));
  }

  #end(which: (session: EngineSession) => boolean): void {
    [...this.#sessions].filter(which).forEach((session) => session.kill());
  }

  /** @throws 18456, 4060, 976, 978 */
  async login({ user, password, database, application, host, readOnlyIntent }: SqlLogin): Promise<EngineSession> {
    const isAdministrator = user.toLowerCase() === 'sa';
    if (!isAdministrator && this.#logins.get(user.toLowerCase()) !== password) {
      throw loginFailed(user);
    }
    const wanted = this.#databases.get((database === '' ? 'master' : database).toLowerCase());
    const isUser = wanted?.name === 'master' || wanted?.grants.users.has(user.toLowerCase()) === true;
    if (wanted === undefined || (!isAdministrator && !isUser)) {
      throw cannotOpenDatabase(database);
    }
    if (wanted.role === 'unreadable secondary') {
      throw readOnlyIntent ? notReadable(wanted.name) : readIntentOnly(wanted.name);
    }
    const state = new SessionState(this.#nextSession++, user, application, host, wanted, this.#context);
    const session = new EngineSession(state, (one) => void this.#sessions.delete(one));
    this.#sessions.add(session);
    return session;
  }
}

function isOf({ state }: EngineSession, database: string): boolean {
  return state.database.name.toLowerCase() === database.toLowerCase();
}
