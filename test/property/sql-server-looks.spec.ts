import { sqlServerCdc, SqlServerPool, type SqlServerStatement } from '@smartpulse/cdc/sql-server';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from '../support/sql-server/engine/direct/ask.js';
import { DirectPool } from '../support/sql-server/engine/direct/direct-pool.js';
import type { TestDatabase } from '../support/sql-server/engine/direct/test-database.js';
import { SqlServerEngine } from '../support/sql-server/engine/sql-server.engine.js';
import { BatchCache } from '../support/sql-server/engine/sql/parse/batch-cache.js';
import type { DatabaseImage } from '../support/sql-server/engine/storage/database.js';
import { BIGINT } from '../support/sql-server/engine/values/value-type.js';

const TABLES = ['dbo.a', 'dbo.b', 'dbo.c'] as const;
type Name = (typeof TABLES)[number];

/** What may happen between two looks. */
type Deed =
  | {
      readonly kind: 'write' | 'truncate' | 'drop' | 'make' | 'remake' | 'disable' | 'enable' | 'begin anew' | 'alter';
      readonly table: Name;
    }
  | { readonly kind: 'cleanUp' | 'jump'; readonly by: number }
  | { readonly kind: 'backUp' | 'restore' | 'nothing' };

const table = fc.constantFrom(...TABLES);
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const), table }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('truncate', 'drop', 'make', 'remake', 'disable', 'enable', 'begin anew', 'alter'),
      table,
    }),
  },
  fc.record({ kind: fc.constantFrom('cleanUp', 'jump'), by: fc.nat(3) }),
  fc.record({ kind: fc.constantFrom('backUp', 'restore', 'nothing') }),
);
const asked = fc.uniqueArray(table, { minLength: 1 });

/** Remembers what was asked. */
class ListeningPool extends SqlServerPool {
  readonly names: string[] = [];

  constructor(private readonly pool: SqlServerPool) {
    super();
  }

  override run(statement: SqlServerStatement) {
    this.names.push(statement.name);
    return this.pool.run(statement);
  }

  override close(): Promise<void> {
    return this.pool.close();
  }
}

/** One database, with a source that has looked at it before. */
class Looks {
  readonly database: TestDatabase;
  readonly pool: ListeningPool;
  readonly #engine: SqlServerEngine;
  readonly #clock = new VirtualClock();
  readonly #seasoned;
  #image: DatabaseImage | undefined;
  #key = 0n;
  /** Deeds that could be done as things were, by their kind. */
  readonly done = new Map<string, number>();

  constructor(batches: BatchCache) {
    this.#engine = new SqlServerEngine({ clock: this.#clock, random: new SeededRandom(1), batches });
    this.database = this.#engine.createDatabase('shop');
    this.database.track();
    TABLES.forEach((name) => this.#make(name));
    this.pool = this.#pool();
    this.#seasoned = this.#source(this.pool);
  }

  /** A deed that cannot be done as things are is none. */
  async do(what: Deed): Promise<void> {
    await this.#clock.advance(10);
    try {
      await this.#do(what);
      this.done.set(what.kind, (this.done.get(what.kind) ?? 0) + 1);
    } catch (error) {
      Logger.debug(String(error));
    }
  }

  async #do(what: Deed): Promise<void> {
    const { database } = this;
    switch (what.kind) {
      case 'write':
        database.write((tx) => tx.insert(what.table, { id: (this.#key += 1n) }));
        return;
      case 'remake':
        database.drop(what.table);
        return this.#make(what.table);
      case 'make':
        return this.#make(what.table);
      case 'begin anew':
        database.disable(what.table);
        return database.enable(what.table);
      case 'cleanUp':
        return database.cleanUp(database.version - BigInt(what.by));
      case 'jump':
        return database.jump(BigInt(what.by));
      case 'backUp':
        this.#image = database.backup();
        return;
      case 'restore':
        if (this.#image === undefined) {
          throw new Error('There is no backup yet.');
        }
        // Unseen: the connections stay, so nothing but what is read can tell.
        return database.restore(this.#image, { keepSessions: true });
      case 'alter':
        return this.#alter(what.table);
      case 'nothing':
        return;
      case 'truncate':
        return database.truncate(what.table);
      case 'drop':
        return database.drop(what.table);
      case 'disable':
        return database.disable(what.table);
      case 'enable':
      default:
        return database.enable(what.table);
    }
  }

  /** What the source finds that knows the tables, and one that has never seen them. */
  async look(tables: readonly Name[]) {
    const pool = this.#pool();
    const [seen, fresh] = [await this.#seasoned.state(tables), await this.#source(pool).state(tables)];
    await pool.close();
    const told = ({ tables: states, ...rest }: typeof seen) => ({
      ...rest,
      tables: tables.map((name) => states.get(name) ?? null),
    });
    return { seen: told(seen), fresh: told(fresh) };
  }

  #pool(): ListeningPool {
    return new ListeningPool(new DirectPool({ engine: this.#engine, database: 'shop', size: 1 }));
  }

  #source(pool: SqlServerPool) {
    return sqlServerCdc({ name: 'shop', pool, createBookkeeping: true }).source;
  }

  #make(name: Name): void {
    this.database.createTable({ name, columns: { id: BIGINT }, primaryKey: ['id'] });
  }

  async #alter(name: Name): Promise<void> {
    this.#key += 1n;
    const session = await this.#engine.login({
      user: 'sa',
      password: 'any',
      database: 'shop',
      application: 'administrator',
      host: 'here',
      readOnlyIntent: false,
    });
    const { errors } = await ask(session, `ALTER TABLE ${name} ADD c${this.#key} int NULL;`);
    session.close();
    for (const { message } of errors) {
      throw new Error(message);
    }
  }
}

describe('a source that has looked at its tables before', () => {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

  it('sees what one sees that has never looked, whatever happened in between', async () => {
    const batches = new BatchCache();
    let short = 0;
    const done = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(deed, asked), { minLength: 10, maxLength: 25 }), async (deeds) => {
        const looks = new Looks(batches);
        await looks.look(TABLES);
        // With the bookkeeping in it, which the first look makes.
        await looks.do({ kind: 'backUp' });
        for (const [what, tables] of deeds) {
          await looks.do(what);
          const { seen, fresh } = await looks.look(tables);
          expect(seen).toEqual(fresh);
        }
        looks.done.forEach((times, kind) => done.set(kind, (done.get(kind) ?? 0) + times));
        short += looks.pool.names.filter((name) => name === 'repeatLook').length;
        await looks.pool.close();
      }),
      { numRuns: 100, seed: 7 },
    );
    expect(short).toBeGreaterThan(300);
    const kinds = [
      'write',
      'truncate',
      'drop',
      'make',
      'remake',
      'disable',
      'enable',
      'begin anew',
      'alter',
      'cleanUp',
      'jump',
      'backUp',
      'restore',
    ];
    expect(kinds.filter((kind) => (done.get(kind) ?? 0) < 5)).toEqual([]);
  });

  it('asks one short question while nothing but the version moves', async () => {
    const looks = new Looks(new BatchCache());
    await looks.look(TABLES);
    looks.pool.names.length = 0;
    for (const name of [...TABLES, ...TABLES]) {
      await looks.do({ kind: 'write', table: name });
      const { seen } = await looks.look([name]);
      expect(seen.currentVersion).toBe(looks.database.version);
    }

    expect(new Set(looks.pool.names)).toEqual(new Set(['repeatLook']));
  });
});
