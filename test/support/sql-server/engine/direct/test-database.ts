import { type SqlValue } from '../../seam.js';
import { invalidObject } from '../errors/query-faults.js';
import { type Grants } from '../security/grants.js';
import { AS_SYSTEM, type Database, type DatabaseImage, type DatabaseRole } from '../storage/database.js';
import { LockConflict } from '../storage/locks.js';
import { type Table } from '../storage/table.js';
import { type TransactionManager } from '../storage/transaction-manager.js';
import { type NetChange, netChanges } from '../tracking/net-changes.js';
import {
  cleanUp,
  cleanUpExpired,
  disableTableTracking,
  enableDatabaseTracking,
  enableTableTracking,
  truncate,
  type TrackingSettings,
} from '../tracking/tracking-administration.js';
import { type ValueType } from '../values/value-type.js';
import { DirectTransaction } from './direct-transaction.js';
import { toPlainRow } from './plain-value.js';

/** A table as a test asks for it. Columns of the key are never null. */
export interface TestTable {
  /** `schema.table` or `table`. */
  readonly name: string;
  readonly columns: Readonly<Record<string, ValueType>>;
  readonly primaryKey: readonly string[];
  /** Default: tracked, without columns. */
  readonly tracking?: 'off' | 'rows' | 'columns';
}

/** What change tracking keeps of a table. */
export interface TrackingState {
  readonly beginVersion: bigint;
  readonly minValidVersion: bigint;
  readonly cleanupVersion: bigint;
}

/** A database of the engine in the hands of a test: no session, no SQL, no permissions. */
export class TestDatabase {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionManager,
    private readonly killSessions: () => void,
  ) {}

  get name(): string {
    return this.database.name;
  }

  /** What CHANGE_TRACKING_CURRENT_VERSION() tells while tracking is on. */
  get version(): bigint {
    return this.database.changeTracking.version;
  }

  /** A secondary answers 22117 to change tracking and refuses writes. */
  set role(role: DatabaseRole) {
    this.database.role = role;
    this.transactions.nextSequence();
  }

  set allowSnapshotIsolation(allowed: boolean) {
    this.database.allowSnapshotIsolation = allowed;
  }

  /** As the database says it in `sys.databases`. */
  set compatibilityLevel(level: number) {
    this.database.compatibilityLevel = level;
  }

  /** Who may do what; `sa` may do everything. A user is added by its first grant. */
  get grants(): Grants {
    return this.database.grants;
  }

  /** Turns change tracking of the database on. */
  track(settings: TrackingSettings = {}): void {
    enableDatabaseTracking(this.database, settings);
  }

  createTable({ name, columns, primaryKey, tracking = 'rows' }: TestTable): void {
    const [table = '', schema = 'dbo'] = name.split('.').toReversed();
    const names = Object.keys(columns);
    const keys = primaryKey.map((column) => names.indexOf(column));
    const made = this.#run((transaction) =>
      this.database.createTable(transaction, {
        id: this.database.newObjectId(),
        schema,
        name: table,
        columns: Object.entries(columns).map(([column, type], at) => ({
          id: at + 1,
          name: column,
          type: { ...type, nullable: type.nullable && !keys.includes(at) },
        })),
        indexes: keys.length === 0 ? [] : [{ id: 1, name: `PK_${table}`, kind: 'primary key', columns: keys }],
      }),
    );
    if (tracking !== 'off') {
      enableTableTracking(made, tracking === 'columns');
    }
  }

  /**
   * One transaction. It does not wait: what a session holds is an error here.
   *
   * @returns what `work` returns. A thrown error rolls back.
   */
  write<T>(work: (transaction: DirectTransaction) => T, options: { readonly context?: Uint8Array } = {}): T {
    return this.#run((transaction) => {
      const direct = new DirectTransaction(this.database, transaction);
      direct.context = options.context ?? null;
      return work(direct);
    });
  }

  /** The committed rows. */
  rows(name: string): readonly Readonly<Record<string, SqlValue>>[] {
    const table = this.#table(name);
    return this.#run((transaction) =>
      [...table.scan({ kind: 'asOf', transaction, sequence: this.transactions.sequence })].map(({ row }) =>
        toPlainRow(row, table),
      ),
    );
  }

  /** What CHANGETABLE(CHANGES …) would tell a reader at `after`, in the order of versions. */
  changes(name: string, after: bigint): readonly NetChange[] {
    return [...netChanges(this.#table(name).tracking?.log ?? [], after, this.version)];
  }

  trackingOf(name: string): TrackingState | undefined {
    const { tracking } = this.#table(name);
    return tracking === undefined
      ? undefined
      : {
          beginVersion: tracking.beginVersion,
          minValidVersion: tracking.minValidVersion,
          cleanupVersion: tracking.cleanupVersion,
        };
  }

  /** The clean-up task, up to a version; left out: of everything up to now. */
  cleanUp(upTo: bigint = this.version): void {
    cleanUp(this.database, upTo);
  }

  /** The clean-up task got stuck: what is up to a version counts no more, and is still there. */
  stallCleanUp(upTo: bigint): void {
    this.database.tables.forEach(({ tracking }) => tracking?.invalidate(upTo));
  }

  /** The clean-up task by the retention and the engine's clock. @returns the version up to which it cleaned. */
  cleanUpExpired(): bigint | undefined {
    return cleanUpExpired(this.database, this.transactions.clock.now());
  }

  truncate(name: string): void {
    this.#alter(name, truncate);
  }

  enable(name: string, options: { readonly columns?: boolean } = {}): void {
    this.#alter(name, (table) => enableTableTracking(table, options.columns ?? false));
  }

  disable(name: string): void {
    this.#alter(name, disableTableTracking);
  }

  drop(name: string): void {
    this.#run((transaction) => this.database.dropTable(transaction, this.#table(name)));
  }

  /** Moves the counter as if other tables had changed. */
  jump(by: bigint): void {
    this.database.changeTracking.jump(by, this.transactions.clock.now());
  }

  backup(): DatabaseImage {
    return this.database.backup();
  }

  /** Goes back to a backup, the counter too. Sessions of the database are killed, unless they are kept to model an unseen failover. */
  restore(image: DatabaseImage, options: { readonly keepSessions?: boolean } = {}): void {
    if (options.keepSessions !== true) {
      this.killSessions();
    }
    this.database.restore(image);
  }

  /** Nobody else may have an open transaction on a table that is altered. */
  #alter(name: string, work: (table: Table) => void): void {
    const table = this.#table(name);
    this.#run((transaction) => {
      this.transactions.locks.acquire(transaction, table, 'X');
      work(table);
    });
    table.schemaSequence = this.transactions.nextSequence();
    if (work !== truncate) {
      table.modifiedAtMs = this.transactions.clock.now();
    }
  }

  #run<T>(work: (transaction: ReturnType<TransactionManager['begin']>) => T): T {
    const transaction = this.transactions.begin(AS_SYSTEM);
    try {
      const result = work(transaction);
      this.transactions.commit(transaction);
      return result;
    } catch (error) {
      this.transactions.rollback(transaction);
      if (error instanceof LockConflict) {
        const holders = error.holders.map(({ sessionId }) => sessionId).join(', ');
        throw new Error(`Direct access to "${this.name}" does not wait, and session ${holders} holds a lock.`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  #table(name: string): Table {
    const table = this.database.findByName(name);
    if (table === undefined) {
      throw invalidObject(name);
    }
    return table;
  }
}
