import type { Checkpoint, Row, SaveOutcome, SourceState } from '@smartpulse/cdc';
import {
  InMemoryChangeSource,
  InMemoryCheckpointStore,
  type InMemoryBackup,
  InProcessLeadership,
} from '@smartpulse/cdc/testing';
import type { Random } from '@smartpulse/resilience';
import type { Process } from '../process.js';
import { PromptClock } from './prompt.clock.js';
import {
  CONSUMER,
  type Deed,
  type Logged,
  OTHER_TABLE,
  type ReplicaParts,
  Subject,
  type SubjectOptions,
  TABLE,
  type Write,
} from './subject.js';

/** The in-memory parts of `@smartpulse/cdc/testing`: positions and leases outlive a restore, and who restores says so. */
export class InMemorySubject extends Subject {
  override readonly clock = new PromptClock();
  override readonly leaseTtlMs = 0;
  readonly #random: Random;
  readonly #note: SubjectOptions['note'];
  readonly #source = new InMemoryChangeSource('db', [
    { table: TABLE, primaryKey: ['id'], columns: ['id', 'value'] },
    { table: OTHER_TABLE, primaryKey: ['id'] },
  ]);
  readonly #store = new FenceKeepingStore();
  readonly #leadership = new InProcessLeadership();
  #backup: InMemoryBackup | undefined;

  constructor({ random, note }: SubjectOptions) {
    super();
    this.#random = random;
    this.#note = note;
  }

  static async create(this: void, options: SubjectOptions): Promise<InMemorySubject> {
    return new InMemorySubject(options);
  }

  override get deeds(): readonly Deed[] {
    const source = this.#source;
    return [
      {
        name: 'clean-ups',
        weight: 6,
        strike: () => source.cleanUp(BigInt(this.#random.int(Number(source.version) + 1))),
      },
      { name: 'truncates', weight: 2, strike: () => source.truncate(TABLE) },
      { name: 'tables made again', weight: 1, strike: () => source.recreate(TABLE) },
      {
        name: 'columns added',
        weight: 1,
        strike: () => source.addColumn(TABLE, `column${this.#random.int(1_000_000)}`),
      },
      { name: 'backups and restores', weight: 2, strike: () => this.#restoreOrBackUp() },
      { name: 'leases lost', weight: 4, strike: () => this.#leadership.revoke() },
    ];
  }

  override commit(writes: readonly Write[]): void {
    this.#source.commit((tx) => {
      const rows = new Map(this.#source.rows(TABLE));
      for (const write of writes) {
        const key = this.#keyOf(write.id);
        if (write.kind === 'upsert') {
          tx.upsert(TABLE, { id: write.id, value: write.value });
          rows.set(key, { id: write.id, value: write.value });
        } else if (write.kind === 'delete') {
          tx.delete(TABLE, { id: write.id });
          rows.delete(key);
        } else if (rows.has(key) && !rows.has(this.#keyOf(write.to))) {
          const row = { ...rows.get(key), id: write.to };
          tx.delete(TABLE, { id: write.id });
          tx.upsert(TABLE, row);
          rows.delete(key);
          rows.set(this.#keyOf(write.to), row);
        }
      }
    });
  }

  override commitElsewhere(): void {
    this.#source.commit((tx) => tx.upsert(OTHER_TABLE, { id: 1 }));
  }

  override replica(): ReplicaParts {
    return {
      source: this.#source,
      checkpoints: this.#store,
      leadership: this.#leadership,
      close: async () => {},
    };
  }

  override crashed(_process: Process): void {
    this.#leadership.revoke();
  }

  override calmDown(): void {}

  override async rows(): Promise<ReadonlyMap<number, Row>> {
    return new Map([...this.#source.rows(TABLE).values()].map((row) => [Number(row['id']), row]));
  }

  override async log(): Promise<readonly Logged[]> {
    return [...this.#source.log(TABLE).values()].map(({ primaryKey, version }) => ({
      id: Number(primaryKey['id']),
      version,
    }));
  }

  override async epoch(): Promise<bigint> {
    return this.#source.epoch;
  }

  override async state(): Promise<SourceState & { readonly schemaHash: string }> {
    const { schemaHash } = await this.#source.describe(TABLE);
    return { ...(await this.#source.state([TABLE])), schemaHash };
  }

  override checkpoint(): Promise<Checkpoint | undefined> {
    return this.#store.load({ consumer: CONSUMER, source: 'db', table: TABLE });
  }

  override async fence(): Promise<bigint | undefined> {
    return this.#store.fence;
  }

  override isWithin(id: number, cursorKey: string): boolean {
    return this.#keyOf(id) <= cursorKey;
  }

  override async close(): Promise<readonly string[]> {
    return this.#leadership.held.map((resource) => `the lease of ${resource}`);
  }

  #keyOf(id: number): string {
    return this.#source.keyOf(TABLE, { id });
  }

  #restoreOrBackUp(): void {
    if (this.#backup === undefined || this.#random.next() < 0.3) {
      this.#backup = this.#source.backUp();
    } else {
      this.#note('restores');
      this.restores += 1;
      this.#source.restore(this.#backup, { newEpoch: true });
    }
  }
}

class FenceKeepingStore extends InMemoryCheckpointStore {
  fence: bigint | undefined;

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const outcome = await super.save(checkpoint, fence);
    this.fence = outcome === 'saved' ? fence : this.fence;
    return outcome;
  }
}
