import type { Checkpoint, SaveOutcome, SourceState } from '@smartpulse/cdc';
import {
  InMemoryChangeSource,
  InMemoryCheckpointStore,
  type InMemoryBackup,
  InProcessLeadership,
} from '@smartpulse/cdc/testing';
import type { SyncRead } from '@smartpulse/data-sync';
import { InMemoryStampedReader, type InMemorySnapshot } from '@smartpulse/data-sync/testing';
import type { Process } from '../process.js';
import { LeasesOfProcesses } from './leases-of-processes.js';
import { PromptClock } from './prompt.clock.js';
import {
  byKey,
  CONSUMER,
  type Deed,
  type Look,
  OTHER_TABLE,
  type ReplicaParts,
  Subject,
  type SubjectOptions,
  type Truth,
  valuesByKey,
  type Write,
} from './subject.js';
import type { HistoryTable } from './tables.js';

/** The in-memory parts of `@smartpulse/cdc/testing`: positions and leases outlive a restore, and who restores says so. */
export class InMemorySubject extends Subject {
  override readonly clock = new PromptClock();
  override readonly leaseTtlMs = 0;
  override readonly isolation = 'snapshot';
  readonly #source: InMemoryChangeSource;
  readonly #store = new FenceKeepingStore();
  readonly #leadership = new InProcessLeadership();
  readonly #leases = new LeasesOfProcesses();
  #backup: InMemoryBackup | undefined;

  constructor(options: SubjectOptions) {
    super(options);
    const followed = options.tables.map(({ name, primaryKey }) => ({
      table: name,
      primaryKey,
      columns: [...primaryKey, 'value'],
    }));
    this.#source = new InMemoryChangeSource('db', [...followed, { table: OTHER_TABLE, primaryKey: ['id'] }]);
  }

  static async create(this: void, options: SubjectOptions): Promise<InMemorySubject> {
    return new InMemorySubject(options);
  }

  override get deeds(): readonly Deed[] {
    const source = this.#source;
    const { random } = this.options;
    return [
      {
        name: 'clean-ups',
        weight: 6,
        strike: () => source.cleanUp(BigInt(random.int(Number(source.version) + 1))),
      },
      { name: 'truncates', weight: 2, strike: () => source.truncate(this.upheave(this.someTable())) },
      { name: 'tables made again', weight: 1, strike: () => source.recreate(this.upheave(this.someTable())) },
      {
        name: 'columns added',
        weight: 1,
        strike: () => source.addColumn(this.someTable().name, `column${random.int(1_000_000)}`),
      },
      { name: 'backups and restores', weight: 2, strike: () => this.#restoreOrBackUp() },
      { name: 'leases lost', weight: 4, strike: () => this.#loseLeases() },
    ];
  }

  override commit(writes: readonly Write[]): void {
    this.#source.commit((tx) => {
      const rekeyed = writes.filter(({ kind }) => kind === 'rekey').map(({ table }) => table);
      const all = new Map(rekeyed.map((table) => [table, new Map(byKey(table, this.#rows(table)))]));
      for (const write of writes) {
        const { table, key } = write;
        const rows = all.get(table);
        if (write.kind === 'upsert') {
          const row = { ...table.primaryKeyOf(key), value: write.value };
          tx.upsert(table.name, row);
          rows?.set(key, row);
        } else if (write.kind === 'delete') {
          tx.delete(table.name, table.primaryKeyOf(key));
          rows?.delete(key);
        } else if (rows?.has(key) === true && !rows.has(write.to)) {
          const row = { ...rows.get(key), ...table.primaryKeyOf(write.to), value: write.value };
          tx.delete(table.name, table.primaryKeyOf(key));
          tx.upsert(table.name, row);
          rows.delete(key);
          rows.set(write.to, row);
        }
      }
    });
  }

  override commitElsewhere(): void {
    this.#source.commit((tx) => tx.upsert(OTHER_TABLE, { id: 1 }));
  }

  override replica(process: Process): ReplicaParts {
    return {
      source: this.#source,
      checkpoints: this.#store,
      leadership: this.#leases.remembering(process, this.#leadership),
      close: async () => {},
    };
  }

  override crashed(process: Process): void {
    this.#leases.takeFrom(process).forEach(({ resource }) => this.#leadership.revoke(resource));
  }

  override calmDown(): void {}

  override read<T>(work: (look: Look) => Promise<T>): Promise<SyncRead<T>> {
    const reader = this.syncReader(new InMemoryStampedReader(this.#source));
    return reader.read((snapshot: InMemorySnapshot) =>
      work({
        values: async (table) => valuesByKey(table, snapshot.rows(table.name).values()),
        pause: (ms) => this.clock.sleep(ms),
        instant: async (table) => {
          const { epoch, version } = this.#source;
          return { epoch, version, isOfTheSnapshot: false, values: valuesByKey(table, this.#rows(table)) };
        },
      }),
    );
  }

  override async truth(table: HistoryTable): Promise<Truth> {
    const { name } = table;
    const { epoch, version } = this.#source;
    const state = (await this.#source.state([name])).tables.get(name);
    const log = [...this.#source.log(name).values()].map(
      (entry) => [table.keyOf(entry.primaryKey), entry.version] as const,
    );
    return {
      epoch,
      version,
      minValidVersion: state?.minValidVersion ?? version,
      rows: byKey(table, this.#rows(table)),
      log: new Map(log),
    };
  }

  override async state({ name }: HistoryTable): Promise<SourceState & { readonly schemaHash: string }> {
    const { schemaHash } = await this.#source.describe(name);
    return { ...(await this.#source.state([name])), schemaHash };
  }

  override checkpoint({ name }: HistoryTable): Promise<Checkpoint | undefined> {
    return this.#store.load({ consumer: CONSUMER, source: 'db', table: name });
  }

  override async fence({ name }: HistoryTable): Promise<bigint | undefined> {
    return this.#store.fences.get(name);
  }

  override isWithin({ name, primaryKeyOf }: HistoryTable, key: number, cursorKey: string): boolean {
    return this.#source.keyOf(name, primaryKeyOf(key)) <= cursorKey;
  }

  override async close(): Promise<readonly string[]> {
    return this.#leadership.held.map((resource) => `the lease of ${resource}`);
  }

  #rows({ name }: HistoryTable) {
    return this.#source.rows(name).values();
  }

  /** All of them, or one table's. */
  #loseLeases(): void {
    const { random } = this.options;
    const { held } = this.#leadership;
    this.#leadership.revoke(random.next() < 0.5 ? undefined : held[random.int(held.length + 1)]);
  }

  #restoreOrBackUp(): void {
    const { random, note } = this.options;
    if (this.#backup === undefined || random.next() < 0.3) {
      this.#backup = this.#source.backUp();
    } else {
      note('restores');
      this.restores += 1;
      this.#source.restore(this.#backup, { newEpoch: true });
    }
  }
}

class FenceKeepingStore extends InMemoryCheckpointStore {
  readonly fences = new Map<string, bigint>();

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const outcome = await super.save(checkpoint, fence);
    if (outcome === 'saved') {
      this.fences.set(checkpoint.table, fence);
    }
    return outcome;
  }
}
