import { ConfigurationError } from '@smartpulse/resilience';
import { MssqlParameter, QueryFailedError } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { DedupeStatements, isDuplicate, type Statement } from './dedupe-statements.js';
import { DedupeTable, type StatementResult } from './dedupe-table.js';

const id = (value: string): MssqlParameter => new MssqlParameter(value, 'varchar', 64);
const token = (value: string): MssqlParameter => new MssqlParameter(value, 'varchar', 32);
const asId = (place: number): string => `CAST(@${place} AS varchar(64))`;
const asToken = (place: number): string => `CAST(@${place} AS varchar(32))`;
const time = (value: number): MssqlParameter => new MssqlParameter(value, 'bigint');

/** What the driver of SQL Server throws, as TypeORM hands it on. */
function serverError(number: number): QueryFailedError {
  return new QueryFailedError(
    'INSERT …',
    [],
    Object.assign(new Error('Violation of PRIMARY KEY constraint'), { number }),
  );
}

describe('the statements of SqlDedupeStore', () => {
  const every = (statements: DedupeStatements): Record<string, Statement> => ({
    insert: statements.insert('k', 't', 5),
    takeOver: statements.takeOver('k', 't', 9, 5),
    find: statements.find('k'),
    complete: statements.complete('k', 't', 9),
    release: statements.release('k', 't'),
    sweep: statements.sweep(5, 100),
  });

  it('for SQL Server name their parameters, give them the types of the columns, and lock single rows', () => {
    const table = '[dbo].[smartpulse_dedupe]';
    expect(every(new DedupeStatements('mssql', 'dbo.smartpulse_dedupe'))).toEqual({
      insert: {
        sql: `INSERT INTO ${table} ([id], [token], [done], [until_ms]) VALUES (${asId(0)}, ${asToken(1)}, 0, @2)`,
        parameters: [id('k'), token('t'), time(5)],
      },
      takeOver: {
        sql: `UPDATE ${table} SET [token] = ${asToken(0)}, [done] = 0, [until_ms] = @1 WHERE [id] = ${asId(2)} AND [until_ms] <= @3`,
        parameters: [token('t'), time(9), id('k'), time(5)],
      },
      find: { sql: `SELECT [done], [until_ms] FROM ${table} WHERE [id] = ${asId(0)}`, parameters: [id('k')] },
      complete: {
        sql: `UPDATE ${table} SET [done] = 1, [until_ms] = @0 WHERE [id] = ${asId(1)} AND [token] = ${asToken(2)} AND [done] = 0`,
        parameters: [time(9), id('k'), token('t')],
      },
      release: {
        sql: `DELETE FROM ${table} WHERE [id] = ${asId(0)} AND [token] = ${asToken(1)} AND [done] = 0`,
        parameters: [id('k'), token('t')],
      },
      sweep: {
        sql: `DELETE TOP (100) FROM ${table} WITH (ROWLOCK, READPAST) WHERE [until_ms] <= @0`,
        parameters: [time(5)],
      },
    });
  });

  it('for SQLite leave the decision about a row that is there to the insert', () => {
    expect(every(new DedupeStatements('better-sqlite3', 'smartpulse_dedupe'))).toEqual({
      insert: {
        sql: 'INSERT INTO "smartpulse_dedupe" ("id", "token", "done", "until_ms") VALUES (?, ?, 0, ?) ON CONFLICT ("id") DO NOTHING',
        parameters: ['k', 't', 5],
      },
      takeOver: {
        sql: 'UPDATE "smartpulse_dedupe" SET "token" = ?, "done" = 0, "until_ms" = ? WHERE "id" = ? AND "until_ms" <= ?',
        parameters: ['t', 9, 'k', 5],
      },
      find: { sql: 'SELECT "done", "until_ms" FROM "smartpulse_dedupe" WHERE "id" = ?', parameters: ['k'] },
      complete: {
        sql: 'UPDATE "smartpulse_dedupe" SET "done" = 1, "until_ms" = ? WHERE "id" = ? AND "token" = ? AND "done" = 0',
        parameters: [9, 'k', 't'],
      },
      release: {
        sql: 'DELETE FROM "smartpulse_dedupe" WHERE "id" = ? AND "token" = ? AND "done" = 0',
        parameters: ['k', 't'],
      },
      sweep: {
        sql: 'DELETE FROM "smartpulse_dedupe" WHERE "id" IN (SELECT "id" FROM "smartpulse_dedupe" WHERE "until_ms" <= ? LIMIT 100)',
        parameters: [5],
      },
    });
  });

  it('quote what the table is called, and refuse databases that they were not written for', () => {
    expect(new DedupeStatements('mssql', 'my schema.odd]name').find('k').sql).toContain(
      'FROM [my schema].[odd]]name] ',
    );
    expect(new DedupeStatements('better-sqlite3', 'odd"name').find('k').sql).toContain('FROM "odd""name" ');
    expect(() => new DedupeStatements('postgres', 't')).toThrow(ConfigurationError);
    expect(() => new DedupeStatements('postgres', 't')).toThrow(
      'is of type "postgres", expected one of better-sqlite3, mssql',
    );
  });
});

describe('the table of SqlDedupeStore', () => {
  const table = (answers: (StatementResult | Error)[]) => {
    const ran: string[] = [];
    const made = new DedupeTable(new DedupeStatements('mssql', 't'), async ({ sql }) => {
      ran.push(sql.split(' ')[0] ?? '');
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) {
        throw answer ?? new Error('Nothing more was expected');
      }
      return answer;
    });
    return { table: made, ran };
  };
  const affected = (count: number): StatementResult => ({ affected: count, rows: [] });

  it.each([2627, 2601])('takes error %i for a row that is there', async (number) => {
    await expect(table([serverError(number)]).table.insert('k', 't', 1)).resolves.toBe(false);
  });

  it.each([1205, 547, 8152])('takes error %i for what it is', async (number) => {
    const error = serverError(number);
    expect(isDuplicate(error)).toBe(false);
    await expect(table([error]).table.insert('k', 't', 1)).rejects.toBe(error);
  });

  it('reads bits and large numbers however the driver tells them', async () => {
    const rows = (row: Record<string, unknown>) => table([{ affected: 1, rows: [row] }]).table.find('k');
    expect(await rows({ done: true, until_ms: '1800000000000' })).toEqual({ done: true, untilMs: 1_800_000_000_000 });
    expect(await rows({ done: 0, until_ms: 1_800_000_000_000n })).toEqual({ done: false, untilMs: 1_800_000_000_000 });
    expect(await table([affected(0)]).table.find('k')).toBeUndefined();
  });

  it('sweeps in parts, until a part is not full', async () => {
    const { ran, table: swept } = table([affected(1_000), affected(1_000), affected(3)]);
    expect(await swept.sweep(1)).toBe(2_003);
    expect(ran).toEqual(['DELETE', 'DELETE', 'DELETE']);
  });
});
