import { createHash } from 'node:crypto';
import type { Clock, Random } from '@smartpulse/resilience';
import { type DataSource, EntitySchema, LessThanOrEqual, type Repository } from 'typeorm';
import { type DedupeClaim, DedupeStore } from '../dedupe/dedupe.store.js';

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
  /** Borrowed: its owner opens and closes it. */
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
/** Between a lost insert and the look at the row it may be gone again. */
const MAX_TURNS = 5;

/**
 * Remembers in a table, for every replica and over restarts. One row per message; the primary key decides between claims that are made at once, and a claim whose
 * life is over is taken by an update that names the token it found.
 */
export class SqlDedupeStore extends DedupeStore {
  readonly durable = true;
  readonly shared = true;
  readonly #rows: Repository<DedupeRow>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sweepEvery: number;
  #claims = 0;

  constructor({ dataSource, entity, clock, random, sweepEvery = DEFAULT_SWEEP_EVERY }: SqlDedupeStoreOptions) {
    super();
    this.#rows = dataSource.getRepository(entity);
    this.#clock = clock;
    this.#random = random;
    this.#sweepEvery = sweepEvery;
  }

  override async claim(key: string, claimMs: number): Promise<DedupeClaim> {
    if (++this.#claims % this.#sweepEvery === 0) {
      await this.sweep();
    }
    const id = idOf(key);
    for (let turn = 1; ; turn++) {
      const token = this.#random.id();
      const failure = await this.#inserted({ id, token, done: false, untilMs: this.#from(claimMs) });
      if (failure === undefined) {
        return { state: 'claimed', token };
      }
      const found = await this.#rows.findOneBy({ id });
      if (found === null) {
        // Released in between; or the insert failed for another reason than the row that is there.
        if (turn === MAX_TURNS) {
          throw failure;
        }
        continue;
      }
      const remainingMs = Number(found.untilMs) - this.#clock.now();
      if (remainingMs > 0) {
        return found.done ? { state: 'done' } : { state: 'inProgress', remainingMs };
      }
      const taken = await this.#rows.update(
        { id, token: found.token },
        { token, done: false, untilMs: this.#from(claimMs) },
      );
      if (taken.affected === 1) {
        return { state: 'claimed', token };
      }
      if (turn === MAX_TURNS) {
        return { state: 'inProgress', remainingMs: claimMs };
      }
    }
  }

  override async complete(key: string, token: string, ttlMs: number): Promise<boolean> {
    const done = await this.#rows.update(
      { id: idOf(key), token, done: false },
      { done: true, untilMs: this.#from(ttlMs) },
    );
    return done.affected === 1;
  }

  override async release(key: string, token: string): Promise<void> {
    await this.#rows.delete({ id: idOf(key), token, done: false });
  }

  /** Deletes what is over; answers how many rows. The store does it by itself now and then. */
  async sweep(): Promise<number> {
    const { affected } = await this.#rows.delete({ untilMs: LessThanOrEqual(String(Math.floor(this.#clock.now()))) });
    return affected ?? 0;
  }

  /** `undefined`, or why not. Drivers tell of a row that is there by codes of their own: the look at the row decides. */
  async #inserted(row: DedupeRow): Promise<Error | undefined> {
    try {
      await this.#rows.insert(row);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #from(ms: number): string {
    return String(Math.ceil(this.#clock.now() + ms));
  }
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
