import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqlServerStatementError } from '../sql-server.errors.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { type SqlServerAnswer, SqlServerPool } from './sql-server.pool.js';
import { SqlServerStatements, type StatementsOptions } from './sql-server.statements.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const NOT_OPENED = Object.assign(new Error('Cannot open database'), { code: 'ELOGIN', number: 4060, class: 11 });
const ANY = { name: 'any', sql: 'SELECT 1', parameters: [] };

/** Refuses to open the database until it is told to. */
class ClosedDatabase extends SqlServerPool {
  open = false;

  override run(): Promise<SqlServerAnswer> {
    return this.open ? Promise.resolve([]) : Promise.reject(NOT_OPENED);
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

function on(pool: SqlServerPool, options: Partial<StatementsOptions> = {}) {
  const shared = { pool, source: 'stock', schema: 'smartpulse', lockTimeoutMs: 1_000, createBookkeeping: false };
  const statements = new SqlServerStatements({ ...shared, ...options });
  return async (times: number): Promise<readonly unknown[]> => {
    const classes: unknown[] = [];
    for (let time = 0; time < times; time++) {
      const error: unknown = await statements.run(ANY).catch((thrown: unknown) => thrown);
      classes.push(SqlServerStatementError.is(error) ? error.failure.class : error);
    }
    return classes;
  };
}

describe('statements on a database that cannot be opened', () => {
  it('take it for a failover at first, and after five times for a name that is wrong', async () => {
    const ask = on(new ClosedDatabase());
    expect(await ask(7)).toEqual([...Array.from({ length: 5 }, () => 'connection'), 'configuration', 'configuration']);
  });

  it('take it for a failover for ever where it was open once, and for what the app says where that says something', async () => {
    const pool = new ClosedDatabase();
    const ask = on(pool);
    pool.open = true;
    await ask(1);
    pool.open = false;
    expect(new Set(await ask(10))).toEqual(new Set(['connection']));
    const told = on(pool, { errorClasses: { numbers: { 4060: 'overload' } } });
    expect(new Set(await told(10))).toEqual(new Set(['overload']));
  });
});

/** Another replica makes the same things at the same time, and is a little faster with each. */
class MadeByAnother extends SqlServerPool {
  readonly sent: string[] = [];

  constructor(private readonly number: number) {
    super();
  }

  override run({ name }: SqlServerStatement): Promise<SqlServerAnswer> {
    this.sent.push(name);
    const refused = Object.assign(new Error('It is there already.'), {
      code: 'EREQUEST',
      number: this.number,
      class: 16,
    });
    return name === 'any' ? Promise.resolve([]) : Promise.reject(refused);
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('the bookkeeping that is made at the first statement', () => {
  it.each([2601, 2627, 2705, 2714, 2759])(
    'is as good where another replica was faster with each part of it (error %i)',
    async (number) => {
      const pool = new MadeByAnother(number);
      expect(await on(pool, { createBookkeeping: true })(2)).toEqual([[], []]);
      expect(pool.sent.filter((name) => name === 'add cdc_epoch.recovery_fork')).toHaveLength(1);
    },
  );

  it('is tried again with the next statement where the server refused it', async () => {
    const pool = new MadeByAnother(262);
    expect(await on(pool, { createBookkeeping: true })(2)).toEqual(['configuration', 'configuration']);
    expect(pool.sent).toEqual(['create schema', 'create schema']);
  });
});
