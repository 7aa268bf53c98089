import { alreadyExists, cannotDrop, noSuchSchema } from '../errors/object-faults.js';
import { Grants } from '../security/grants.js';
import { type Change } from '../tracking/change.js';
import { DatabaseTracking } from '../tracking/database-tracking.js';
import { type TableTracking } from '../tracking/table-tracking.js';
import { remembering } from '../values/remembering.js';
import { type Row } from './row-slot.js';
import { Table, type TableDefinition } from './table.js';
import { type TransactionManager } from './transaction-manager.js';
import { type Transaction } from './transaction.js';

/** Where a database stands in an availability group. */
export type DatabaseRole = 'primary' | 'readable secondary' | 'unreadable secondary';

/** A backup: everything that is committed, to go back to. */
export interface DatabaseImage {
  readonly tables: readonly {
    readonly definition: TableDefinition;
    readonly rows: readonly Row[];
    readonly nextIdentity: bigint;
    readonly tracking: TableTracking | undefined;
  }[];
  readonly schemas: readonly string[];
  readonly changeTracking: DatabaseTracking;
  readonly rowversion: bigint;
}

/** Tables, schemas, settings and the change tracking counter of one database. */
export class Database {
  readonly grants = new Grants();
  changeTracking = new DatabaseTracking();
  allowSnapshotIsolation = false;
  readCommittedSnapshot = false;
  compatibilityLevel = 170;
  role: DatabaseRole = 'primary';
  /** A text in the form of a uniqueidentifier, another one after each restore: `sys.database_recovery_status`. */
  recoveryFork: string;

  readonly #transactions: TransactionManager;
  readonly #schemas = new Map<string, string>([['dbo', 'dbo']]);
  readonly #tables = new Map<string, Table>();
  #nextObjectId = 245_575_913;
  #rowversion = 2_000n;
  #forks = 1;

  constructor(
    readonly id: number,
    readonly name: string,
    transactions: TransactionManager,
  ) {
    this.#transactions = transactions;
    this.recoveryFork = this.#forkName();
    transactions.adopt(this);
  }

  get tables(): readonly Table[] {
    return [...this.#tables.values()];
  }

  get schemas(): readonly string[] {
    return [...this.#schemas.values()];
  }

  /** Names are compared without case. */
  find(schema: string, name: string): Table | undefined {
    return this.#tables.get(keyOf(schema, name));
  }

  /** `name`, `schema.name`, with or without brackets. */
  findByName(written: string): Table | undefined {
    const [name = '', schema = 'dbo', database = this.name] = partsOf(written).toReversed();
    return database.toLowerCase() === this.name.toLowerCase() ? this.find(schema, name) : undefined;
  }

  newObjectId(): number {
    // SQL Server spreads ids; a reader that counts on neighbours is wrong there, too.
    this.#nextObjectId += 16_000_057;
    return this.#nextObjectId % 2_147_483_647;
  }

  nextRowversion(): Uint8Array {
    this.#rowversion += 1n;
    return new Uint8Array(Buffer.from(this.#rowversion.toString(16).padStart(16, '0'), 'hex'));
  }

  createSchema(name: string): void {
    if (this.#schemas.has(name.toLowerCase())) {
      throw alreadyExists(name);
    }
    this.#schemas.set(name.toLowerCase(), name);
  }

  /** @throws 2714, 2760 */
  createTable(transaction: Transaction, definition: TableDefinition): Table {
    const schema = this.#schemas.get(definition.schema.toLowerCase());
    if (schema === undefined) {
      throw noSuchSchema(definition.schema);
    }
    const key = keyOf(schema, definition.name);
    if (this.#tables.has(key)) {
      throw alreadyExists(definition.name);
    }
    const table = new Table({ ...definition, schema }, this, this.#transactions.locks);
    table.schemaSequence = this.#transactions.nextSequence();
    table.modifiedAtMs = this.#transactions.clock.now();
    this.#tables.set(key, table);
    transaction.willUndo(() => {
      this.#tables.delete(key);
      this.#transactions.nextSequence();
    });
    return table;
  }

  /** @throws 3701, LockConflict */
  dropTable(transaction: Transaction, table: Table): void {
    const key = keyOf(table.schema, table.name);
    if (this.#tables.get(key) !== table) {
      throw cannotDrop('table', table.name);
    }
    this.#transactions.locks.acquire(transaction, table, 'X');
    this.#tables.delete(key);
    this.#transactions.nextSequence();
    transaction.willUndo(() => {
      this.#tables.set(key, table);
      this.#transactions.nextSequence();
    });
  }

  trackedLogs(): readonly (readonly [TableTracking, readonly Change[]])[] {
    return this.tables.flatMap(({ tracking }) => (tracking === undefined ? [] : [[tracking, tracking.log] as const]));
  }

  backup(): DatabaseImage {
    const transaction = this.#transactions.begin(AS_SYSTEM);
    const tables = this.tables.map((table) => ({
      definition: table,
      rows: [...table.scan({ kind: 'asOf', transaction, sequence: this.#transactions.sequence })].map(({ row }) => row),
      nextIdentity: table.nextIdentity,
      tracking: table.tracking?.copy(),
    }));
    this.#transactions.rollback(transaction);
    const copied = tables.map(({ definition, ...rest }) => ({
      definition: {
        id: definition.id,
        schema: definition.schema,
        name: definition.name,
        columns: definition.columns,
        indexes: definition.indexes,
      },
      ...rest,
    }));
    return {
      tables: copied,
      schemas: this.schemas,
      changeTracking: this.changeTracking.copy(),
      rowversion: this.#rowversion,
    };
  }

  /** Goes back: rows, change tracking and its counter are those of the backup; only the recovery fork is another. */
  restore(image: DatabaseImage): void {
    this.#tables.clear();
    this.#schemas.clear();
    image.schemas.forEach((name) => this.#schemas.set(name.toLowerCase(), name));
    this.changeTracking = image.changeTracking.copy();
    this.#rowversion = image.rowversion;
    const transaction = this.#transactions.begin(AS_SYSTEM);
    for (const { definition, rows, nextIdentity, tracking } of image.tables) {
      const table = this.createTable(transaction, definition);
      rows.forEach((row) => table.load(transaction, row));
      table.nextIdentity = nextIdentity;
      table.tracking = tracking?.copy();
    }
    this.#transactions.commit(transaction);
    this.#forks += 1;
    this.recoveryFork = this.#forkName();
  }

  #forkName(): string {
    return `00000000-0000-0000-${String(this.id).padStart(4, '0')}-${String(this.#forks).padStart(12, '0')}`;
  }
}

/** Work of the engine itself. */
export const AS_SYSTEM = { sessionId: 0, isolation: 'read committed', deadlockPriority: 10 } as const;

function keyOf(schema: string, name: string): string {
  return `${schema.toLowerCase()}.${name.toLowerCase()}`;
}

/** The parts of a name, as they are without brackets and quotes. */
const partsOf = remembering((written: string): readonly string[] =>
  [...written.matchAll(/\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^.[\]"]+)/g)].map(
    ([, bracketed, quoted, plain]) => bracketed?.replaceAll(']]', ']') ?? quoted?.replaceAll('""', '"') ?? plain ?? '',
  ),
);
