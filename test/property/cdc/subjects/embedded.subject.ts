import {
  type Checkpoint,
  type Lease,
  type Leadership,
  type Row,
  type SourceState,
  TableNotTrackedError,
} from '@smartpulse/cdc';
import {
  type EmbeddedCdcParts,
  embeddedCdc,
  EmbeddedDatabase,
  EmbeddedTurnExpiredError,
} from '@smartpulse/cdc/embedded';
import type { Random } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource, type EntityManager } from 'typeorm';
import type { Process } from '../process.js';
import {
  CONSUMER,
  type Deed,
  type Logged,
  type ReplicaParts,
  Subject,
  type SubjectOptions,
  TABLE,
  type Write,
} from './subject.js';

const SOURCE = 'db';
const TURN_MS = 400;
const MAKE = 'CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, value INTEGER)';

class Undone extends Error {}

/** The embedded database: all replicas are in one process with it, so that a replica that dies leaves its lease to whoever asks next. */
export class EmbeddedSubject extends Subject {
  override readonly clock: VirtualClock;
  override readonly leaseTtlMs = 1_000;
  readonly #options: SubjectOptions;
  readonly #random: Random;
  readonly #database: EmbeddedDatabase;
  readonly #sql: DataSource;
  readonly #observer: EmbeddedCdcParts;
  readonly #leases = new Map<Process, Lease>();
  #columns = 0;

  private constructor(options: SubjectOptions, clock: VirtualClock, database: EmbeddedDatabase, sql: DataSource) {
    super();
    this.clock = clock;
    this.#options = options;
    this.#random = options.random;
    this.#database = database;
    this.#sql = sql;
    this.#observer = embeddedCdc(database);
  }

  static async create(this: void, options: SubjectOptions): Promise<EmbeddedSubject> {
    const clock = new VirtualClock();
    const database = EmbeddedDatabase.open({ name: SOURCE, clock, turnTimeoutMs: TURN_MS });
    const sql = await new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] })).initialize();
    await sql.query(MAKE);
    await sql.query('CREATE TABLE other (id INTEGER PRIMARY KEY, value INTEGER)');
    await database.enableTracking([TABLE, 'dbo.other']);
    return new EmbeddedSubject(options, clock, database, sql);
  }

  override get deeds(): readonly Deed[] {
    const database = this.#database;
    return [
      {
        name: 'clean-ups',
        weight: 6,
        strike: () => this.#inTurn(() => database.cleanUp({ retentionMs: this.#random.int(300) })),
      },
      { name: 'truncates', weight: 2, strike: () => this.#inTurn(() => this.#truncate()) },
      { name: 'tracking off and on', weight: 1, strike: () => this.#inTurn(() => this.#reEnable()) },
      { name: 'tables made again', weight: 1, strike: () => this.#inTurn(() => this.#makeAgain()) },
      { name: 'columns added', weight: 1, strike: () => this.#inTurn(() => this.#addColumn()) },
      { name: 'writers that give up', weight: 4, strike: () => this.#inTurn(() => this.#giveUp()) },
      { name: 'writers that keep the connection', weight: 4, strike: () => this.#keepConnection() },
      { name: 'leases lost', weight: 4, strike: () => this.#loseLeases() },
    ];
  }

  override commit(writes: readonly Write[]): void {
    this.#inTurn(() => this.#sql.transaction((manager) => apply(manager, writes)));
  }

  override commitElsewhere(): void {
    const sql = 'INSERT INTO other VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET value = value + 1';
    this.#inTurn(() => this.#sql.query(sql));
  }

  override replica(process: Process): ReplicaParts {
    const { source, checkpoints, leadership } = embeddedCdc(this.#database, undefined, { ttlMs: this.leaseTtlMs });
    const remembering: Pick<Leadership, 'acquire'> = {
      acquire: async (resource) => {
        const lease = await leadership.acquire(resource);
        if (lease !== undefined) {
          this.#leases.set(process, lease);
        }
        return lease;
      },
    };
    return { source, checkpoints, leadership: remembering, close: async () => {} };
  }

  override crashed(process: Process): void {
    const lease = this.#leases.get(process);
    this.#leases.delete(process);
    if (lease !== undefined) {
      this.#inTurn(() => lease.release());
    }
  }

  override calmDown(): void {}

  override async rows(): Promise<ReadonlyMap<number, Row>> {
    const rows: Row[] = await this.#sql.query('SELECT * FROM stock');
    return new Map(rows.map((row) => [Number(row['id']), row]));
  }

  override log(): Promise<readonly Logged[]> {
    return this.#database.read('log', ({ connection }) =>
      connection
        .all(
          'SELECT l.key, l.version FROM smartpulse_change_log l JOIN smartpulse_tracked_table t ON t.id = l.table_id WHERE t.name = ?',
          TABLE,
        )
        .map(({ key, version }) => ({ id: Number(key), version: BigInt(String(version)) })),
    );
  }

  override async epoch(): Promise<bigint> {
    return this.#database.epoch;
  }

  override async state(): Promise<SourceState & { readonly schemaHash: string }> {
    const { source } = this.#observer;
    const { schemaHash } = await source.describe(TABLE);
    return { ...(await source.state([TABLE])), schemaHash };
  }

  override checkpoint(): Promise<Checkpoint | undefined> {
    return this.#observer.checkpoints.load({ consumer: CONSUMER, source: SOURCE, table: TABLE });
  }

  override fence(): Promise<bigint | undefined> {
    return this.#database.read('fence', ({ connection }) => {
      const fence = connection.get('SELECT fence FROM smartpulse_checkpoint')?.['fence'];
      return typeof fence === 'bigint' ? fence : undefined;
    });
  }

  override isWithin(id: number, cursorKey: string): boolean {
    // Its pages are in the order of the keys' text.
    return String(id) <= cursorKey;
  }

  override async close(): Promise<readonly string[]> {
    await this.#sql.destroy();
    const { waitingTurns, leases } = this.#database;
    await this.#database.close();
    return [
      ...(waitingTurns === 0 ? [] : [`${waitingTurns} callers that wait`]),
      ...[...leases.keys()].map((resource) => `the lease of ${resource}`),
    ];
  }

  /** Somebody may hold the connection until time goes on: nobody waits here for the turn. */
  #inTurn(work: () => Promise<unknown>): void {
    void this.#options.onItsWay(async () => void (await work()));
  }

  async #truncate(): Promise<void> {
    try {
      await this.#database.truncate(TABLE);
    } catch (error) {
      // Between off and on.
      if (!TableNotTrackedError.is(error)) {
        throw error;
      }
    }
  }

  async #reEnable(): Promise<void> {
    await this.#database.disableTracking([TABLE]);
    await this.#database.enableTracking([TABLE]);
  }

  async #makeAgain(): Promise<void> {
    await this.#sql.transaction(async (manager) => {
      await manager.query('DROP TABLE stock');
      await manager.query(MAKE);
    });
    await this.#database.enableTracking([TABLE]);
  }

  async #addColumn(): Promise<void> {
    this.#columns += 1;
    await this.#sql.query(`ALTER TABLE stock ADD COLUMN more${this.#columns} INTEGER`);
    await this.#database.enableTracking([TABLE]);
  }

  async #giveUp(): Promise<void> {
    try {
      await this.#sql.transaction(async (manager) => {
        await manager.query('DELETE FROM stock');
        throw new Undone();
      });
    } catch (error) {
      if (!(error instanceof Undone)) {
        throw error;
      }
    }
  }

  /** A transaction that stays open for a while, or for longer than it may. */
  #keepConnection(): void {
    const heldMs = this.#random.int(TURN_MS * 1.5);
    const id = this.#random.int(10);
    this.#inTurn(async () => {
      try {
        await this.#sql.transaction(async (manager) => {
          await manager.query('UPDATE stock SET value = value + 1000000 WHERE id = ?', [id]);
          await this.clock.sleep(heldMs);
          await manager.query('DELETE FROM stock WHERE id = ?', [id + 1]);
        });
      } catch (error) {
        if (!EmbeddedTurnExpiredError.is(error)) {
          throw error;
        }
        this.#options.note('writers that overstayed their turn');
      }
    });
  }

  #loseLeases(): void {
    this.#database.leases.forEach((lease) => lease.end('somebody took it'));
  }
}

async function apply(manager: EntityManager, writes: readonly Write[]): Promise<void> {
  for (const write of writes) {
    if (write.kind === 'upsert') {
      await manager.query(
        'INSERT INTO stock (id, value) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
        [write.id, write.value],
      );
    } else if (write.kind === 'delete') {
      await manager.query('DELETE FROM stock WHERE id = ?', [write.id]);
    } else {
      await manager.query('UPDATE OR IGNORE stock SET id = ? WHERE id = ?', [write.to, write.id]);
    }
  }
}
