import { createHash } from 'node:crypto';
import type { Clock, Random } from '@smartpulse/resilience';
import { type DataSource, EntitySchema } from 'typeorm';
import { type DedupeClaim, DedupeStore } from '../dedupe/dedupe.store.js';
import { DedupeStatements, type Statement } from './dedupe-statements.js';
import { DedupeTable, type StatementResult } from './dedupe-table.js';

/** A row of the table. */
export interface DedupeRow {
  /** SHA-256 of the key, hexadecimal: keys may be longer than an index takes. */
  readonly id: string;
  readonly token: string;
  readonly done: boolean;
  /** Milliseconds since the Unix epoch, by the clocks of the processes. */
  readonly untilMs: string;
}

/** The entity of the store's table; an app lists it among its entities, and makes the table by `synchronize` or a migration. */
export function dedupeEntity(table = 'smartpulse_dedupe'): EntitySchema<DedupeRow> {
  return new EntitySchema<DedupeRow>({
    name: table,
    tableName: table,
    columns: {
      id: { type: 'varchar', length: 64, primary: true },
      token: { type: 'varchar', length: 32 },
      done: { type: Boolean },
      untilMs: { name: 'until_ms', type: 'bigint' },
    },
    indices: [{ name: `ix_${table}_until_ms`, columns: ['untilMs'] }],
  });
}

/** The options of {@link SqlDedupeStore}. */
export interface SqlDedupeStoreOptions {
  /** Borrowed: its owner opens and closes it. Of type `mssql` or `better-sqlite3` (the embedded database). */
  readonly dataSource: DataSource;
  /** What `dedupeEntity` answered, listed among the data source's entities. */
  readonly entity: EntitySchema<DedupeRow>;
  /** Processes that share the table need clocks that differ by much less than a claim lives. */
  readonly clock: Clock;
  readonly random: Random;
  /** After so many claims what is over is deleted. Default 1,000. */
  readonly sweepEvery?: number | undefined;
}

const DEFAULT_SWEEP_EVERY = 1_000;
/** Between a lost insert and the look at the row it may be gone again, or its life over. */
const MAX_TURNS = 5;

/**
 * Remembers in a table, for every replica and over restarts. One row per message; the primary key decides between claims that are made at once, and a claim whose
 * life is over is taken by an update that finds it over. Each statement is a transaction of its own.
 */
export class SqlDedupeStore extends DedupeStore {
  readonly durable = true;
  readonly shared = true;
  readonly #dataSource: DataSource;
  readonly #table: DedupeTable;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sweepEvery: number;
  #claims = 0;

  /** @throws ConfigurationError when the data source is of another type than those that the store has statements for. */
  constructor({ dataSource, entity, clock, random, sweepEvery = DEFAULT_SWEEP_EVERY }: SqlDedupeStoreOptions) {
    super();
    const { tablePath } = dataSource.getMetadata(entity);
    this.#dataSource = dataSource;
    this.#table = new DedupeTable(new DedupeStatements(dataSource.options.type, tablePath), (statement) =>
      this.#run(statement),
    );
    this.#clock = clock;
    this.#random = random;
    this.#sweepEvery = sweepEvery;
  }

  override async claim(key: string, claimMs: number): Promise<DedupeClaim> {
    if (++this.#claims % this.#sweepEvery === 0) {
      await this.sweep();
    }
    const id = idOf(key);
    for (let turn = 1; turn <= MAX_TURNS; turn++) {
      const token = this.#random.id();
      if (await this.#table.insert(id, token, this.#from(claimMs))) {
        return { state: 'claimed', token };
      }
      const found = await this.#table.find(id);
      const remainingMs = (found?.untilMs ?? 0) - this.#clock.now();
      if (found !== undefined && remainingMs > 0) {
        return found.done ? { state: 'done' } : { state: 'inProgress', remainingMs };
      }
      if (found !== undefined && (await this.#table.takeOver(id, token, this.#from(claimMs), this.#nowMs()))) {
        return { state: 'claimed', token };
      }
    }
    // Others claim and release it all the time.
    return { state: 'inProgress', remainingMs: claimMs };
  }

  override complete(key: string, token: string, ttlMs: number): Promise<boolean> {
    return this.#table.complete(idOf(key), token, this.#from(ttlMs));
  }

  override async release(key: string, token: string): Promise<void> {
    await this.#table.release(idOf(key), token);
  }

  /** Deletes what is over; answers how many rows. The store does it by itself now and then. */
  sweep(): Promise<number> {
    return this.#table.sweep(this.#nowMs());
  }

  async #run({ sql, parameters }: Statement): Promise<StatementResult> {
    const runner = this.#dataSource.createQueryRunner();
    try {
      const { affected = 0, records } = await runner.query(sql, [...parameters], true);
      return { affected, rows: records as StatementResult['rows'] };
    } finally {
      await runner.release();
    }
  }

  #nowMs(): number {
    return Math.floor(this.#clock.now());
  }

  #from(ms: number): number {
    return Math.ceil(this.#clock.now() + ms);
  }
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
