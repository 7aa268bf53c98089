import sql, { type ConnectionPool } from 'mssql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, ISOLATION_LEVEL, Request } from 'tedious';
import { type SqlReply, SqlServerFault } from '../support/sql-server/seam.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { connect, connectPool, execute } from './clients.js';
import { column, message, numbers, ScriptedEngine } from './scripted-engine.js';

const BEGUN: SqlReply = { kind: 'transaction', event: 'begun', descriptor: 0x0102_0304_0506_0708n };
const ROLLED_BACK: SqlReply = { ...BEGUN, event: 'rolledBack' };

let engine: ScriptedEngine;
let server: TestSqlServer;
let pool: ConnectionPool;
let connection: Connection;

beforeEach(async () => {
  engine = new ScriptedEngine();
  server = await startTestSqlServer({ engine });
  pool = await connectPool(server, { pool: { max: 1 } });
  connection = await connect(server);
});

afterEach(async () => {
  connection.close();
  await pool.close();
  await server.stop();
});

describe('a call', () => {
  it('carries several results, each with its count', async () => {
    engine.when(/two/, [...numbers(1, 2), { kind: 'done', rows: 5 }, ...numbers(), ...numbers(3)]);
    const { recordsets, rowsAffected } = await pool.request().query('two');
    expect(recordsets).toEqual([[{ value: 1 }, { value: 2 }], [], [{ value: 3 }]]);
    expect(rowsAffected).toEqual([2, 5, 0, 1]);
  });

  it('carries statements that count nothing', async () => {
    engine.when(/quiet/, [{ kind: 'done', rows: undefined }]);
    const { recordsets, rowsAffected } = await pool.request().query('quiet');
    expect([recordsets, rowsAffected]).toEqual([[], []]);
  });

  it('names its parameters', async () => {
    await pool.request().input('id', sql.BigInt, '9007199254740993').input('text', sql.NVarChar, "o'Hara").query('q');
    expect(engine.requests.at(-1)?.parameters.map(({ name, value }) => [name, value])).toEqual([
      ['@id', 9_007_199_254_740_993n],
      ['@text', "o'Hara"],
    ]);
  });

  it('gives output parameters and the status back', async () => {
    engine.when(/^EXEC/, [
      { kind: 'done', rows: 1 },
      { kind: 'output', name: '@total', type: { name: 'bigint', nullable: true }, value: 9_007_199_254_740_993n },
      { kind: 'output', name: '@note', type: { name: 'nvarchar', length: 'max', nullable: true }, value: null },
      { kind: 'status', value: -7 },
    ]);
    const { output, returnValue } = await pool
      .request()
      .input('id', sql.Int, 5)
      .output('total', sql.BigInt)
      .output('note', sql.NVarChar(sql.MAX))
      .execute<unknown>('dbo.sum_up');
    expect(output).toEqual({ total: '9007199254740993', note: null });
    expect(returnValue).toBe(-7);
    expect(engine.requests.at(-1)?.sql).toBe('EXEC dbo.sum_up @id = @id, @total = @total OUTPUT, @note = @note OUTPUT');
  });

  it('returns the error of its last statement where it has no status of its own', async () => {
    engine
      .when(/^EXEC failed/, [
        { kind: 'error', message: message(547, 'The INSERT statement conflicted.') },
        { kind: 'done', rows: undefined },
      ])
      .when(/^EXEC mended/, [
        { kind: 'error', message: message(547, 'The INSERT statement conflicted.') },
        { kind: 'done', rows: undefined },
        ...numbers(1),
      ]);
    expect([await statusOf('failed'), await statusOf('mended'), await statusOf('fine')]).toEqual([547, 0, 0]);
  });

  it('passes information on', async () => {
    engine.when(/say/, [{ kind: 'info', message: message(0, 'hello', { class: 0 }) }, ...numbers(1)]);
    const infos: string[] = [];
    const request = pool.request();
    request.on('info', ({ message: text }: { message: string }) => infos.push(text));
    await request.query('say');
    expect(infos).toEqual(['hello']);
  });

  it('prepares once, executes often, and is gone when it was unprepared', async () => {
    engine.when(/^double/, ({ parameters }) => numbers(Number(parameters[0]?.value) * 2));
    const statement = new sql.PreparedStatement(pool).input('n', sql.Int);
    await statement.prepare('double @n');
    const results = [];
    for (const n of [1, 2, 3]) {
      results.push((await statement.execute({ n })).recordset);
    }
    await statement.unprepare();
    expect(results).toEqual([[{ value: 2 }], [{ value: 4 }], [{ value: 6 }]]);
    expect(engine.requests.filter(({ sql: text }) => text === 'double @n')).toHaveLength(3);

    const stale = new Request('double @n', () => undefined);
    Object.assign(stale, { handle: 42 });
    await expect(
      new Promise((resolve, reject) => {
        stale.callback = (error) => (error ? reject(error) : resolve(undefined));
        connection.execute(stale, {});
      }),
    ).rejects.toMatchObject({ number: 8_179, message: 'Could not find prepared statement with handle 42.' });
  });
});

describe('a batch', () => {
  it('carries several results, each with its count', async () => {
    engine.when(/two/, [...numbers(1), { kind: 'done', rows: undefined }, ...numbers(2, 3)]);
    const { recordsets, rowsAffected } = await pool.request().batch('two');
    expect(recordsets).toEqual([[{ value: 1 }], [{ value: 2 }, { value: 3 }]]);
    expect(rowsAffected).toEqual([1, 2]);
    expect(engine.requests.at(-1)).toMatchObject({ sql: 'two', parameters: [] });
  });

  it('changes the database of the connection', async () => {
    engine.when(/^use/, [{ kind: 'database', name: 'other', previous: 'shop' }]);
    const databases: string[] = [];
    connection.on('databaseChange', (name) => databases.push(name));
    await execute(connection, 'use other', { batch: true });
    expect(databases).toEqual(['other']);
  });

  it('streams more rows than fit any buffer', async () => {
    engine.when(/many/, function* () {
      yield { kind: 'columns', columns: [{ name: 'n', type: { name: 'int', nullable: false } }] };
      for (let n = 0; n < 20_000; n += 1) {
        yield { kind: 'row', values: [BigInt(n)] };
      }
      yield { kind: 'done', rows: 20_000 };
    });
    const { recordset } = await pool.request().query<{ n: number }>('many');
    expect(recordset.map(({ n }) => n)).toEqual(Array.from({ length: 20_000 }, (_, n) => n));
  });
});

describe('an error', () => {
  const duplicate = message(2_627, 'Violation of PRIMARY KEY constraint.', {
    class: 14,
    state: 3,
    line: 7,
    procedure: 'dbo.insert_order',
  });

  it.each(['query', 'batch'] as const)('of a %s keeps number, class, state, line and procedure', async (how) => {
    engine.when(/bad/, [{ kind: 'error', message: duplicate }]);
    await expect(pool.request()[how]('bad')).rejects.toMatchObject({
      code: 'EREQUEST',
      number: 2_627,
      class: 14,
      state: 3,
      lineNumber: 7,
      procName: 'dbo.insert_order',
      serverName: 'TESTSERVER',
      message: 'Violation of PRIMARY KEY constraint.',
    });
    expect((await pool.request().query('good')).recordsets).toEqual([]);
  });

  it('is thrown by the engine or answered by it, to the same effect', async () => {
    engine.when(/bad/, function* () {
      yield* numbers(1);
      throw new SqlServerFault(duplicate);
    });
    await expect(pool.request().query('bad')).rejects.toMatchObject({ number: 2_627, class: 14 });
  });

  it('comes last, with those before it in precedingErrors', async () => {
    engine.when(/alter/, [
      { kind: 'error', message: message(22_115, 'Change tracking is enabled for one or more tables.') },
      { kind: 'error', message: message(5_069, 'ALTER DATABASE statement failed.') },
    ]);
    await expect(pool.request().query('alter')).rejects.toMatchObject({
      number: 5_069,
      precedingErrors: [{ number: 22_115 }],
    });
    await expect(execute(connection, 'alter')).rejects.toBeInstanceOf(AggregateError);
  });

  it('after rows lets a stream see the rows first', async () => {
    engine.when(/late/, [...numbers(1).slice(0, 2), { kind: 'error', message: message(3_960, 'Snapshot conflict.') }]);
    const request = pool.request();
    request.stream = true;
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      request.on('row', (row) => seen.push(row));
      request.on('error', ({ number }: { number: number }) => seen.push(number));
      request.on('done', () => resolve());
      void request.query('late');
    });
    expect(seen).toEqual([{ value: 1 }, 3_960]);
  });

  it('between statements does not hide the results around it', async () => {
    engine.when(/middle/, [
      ...numbers(1),
      { kind: 'error', message: message(8_134, 'Divide by zero error encountered.') },
      { kind: 'done', rows: undefined },
      ...numbers(2),
    ]);
    const request = pool.request();
    request.stream = true;
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      request.on('row', ({ value }) => seen.push(value));
      request.on('error', ({ number }: { number: number }) => seen.push(number));
      request.on('done', () => resolve());
      void request.batch('middle');
    });
    expect(seen).toEqual([1, 8_134, 2]);
  });

  it('of class 20 ends the connection, and the pool makes a new one', async () => {
    engine.when(/fatal/, [{ kind: 'error', message: message(596, 'Session is in the kill state.', { class: 21 }) }]);
    await expect(pool.request().query('fatal')).rejects.toMatchObject({ number: 596, class: 21 });
    engine.when(/one/, numbers(1));
    expect((await pool.request().query('one')).recordset).toEqual([{ value: 1 }]);
  });

  it('says what the test server has not got', async () => {
    const table = new sql.Table('t');
    table.columns.add('a', sql.Int, { nullable: true });
    table.rows.add(1);
    await expect(pool.request().bulk(table)).rejects.toMatchObject({
      number: 50_000,
      message: 'The test server has no bulk load',
    });
  });
});

describe('a transaction', () => {
  it('begins at the level asked for, snapshot included, and ends', async () => {
    for (const level of [
      sql.ISOLATION_LEVEL.SNAPSHOT,
      sql.ISOLATION_LEVEL.SERIALIZABLE,
      sql.ISOLATION_LEVEL.REPEATABLE_READ,
      sql.ISOLATION_LEVEL.READ_COMMITTED,
      sql.ISOLATION_LEVEL.READ_UNCOMMITTED,
    ]) {
      const transaction = pool.transaction();
      await transaction.begin(level);
      await transaction.request().query('inside');
      await transaction.commit();
    }
    expect(engine.events.filter((event) => event !== 'close')).toEqual([
      'begin snapshot',
      'commit',
      'begin serializable',
      'commit',
      'begin repeatable read',
      'commit',
      'begin read committed',
      'commit',
      'begin read uncommitted',
      'commit',
    ]);
  });

  it('rolls back, and to a savepoint', async () => {
    await begin(connection, 'outer');
    await save(connection, 'half');
    await rollback(connection, 'half');
    await execute(connection, 'still inside');
    await rollback(connection);
    expect(engine.events.filter((event) => event !== 'close')).toEqual([
      'begin read committed outer',
      'save half',
      'rollback half',
      'rollback',
    ]);
  });

  it('that the server rolled back is known to the client, and to its next request', async () => {
    engine.when(/deadlock/, [
      { kind: 'error', message: message(1_205, 'Transaction was deadlocked.', { class: 13, state: 51 }) },
      { kind: 'transaction', event: 'rolledBack', descriptor: 1n },
    ]);
    const transaction = pool.transaction();
    await transaction.begin();
    await expect(transaction.request().query('deadlock')).rejects.toMatchObject({ number: 1_205, class: 13 });
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'EABORT' });
    await pool.request().query('after');
    expect(engine.requests.at(-1)?.sql).toBe('after');
  });

  it('begun and ended in text is followed by the client', async () => {
    engine.when(/^begin tran$/, [BEGUN]).when(/^rollback$/, [ROLLED_BACK]);
    await execute(connection, 'begin tran', { batch: true });
    await execute(connection, 'inside');
    await execute(connection, 'rollback', { batch: true });
    await execute(connection, 'outside');
    expect(engine.requests.slice(-3).map(({ sql: text }) => text)).toEqual(['inside', 'rollback', 'outside']);
  });

  it('is rolled back by a reset of the connection, with its prepared statements', async () => {
    await begin(connection, '');
    const changes: string[] = [];
    // The event is there; only its type is not.
    connection.on('rollbackTransaction' as 'resetConnection', () => changes.push('rolled back'));
    connection.on('resetConnection', () => changes.push('reset'));
    await new Promise<void>((resolve, reject) => {
      connection.reset((error) => (error ? reject(error) : resolve()));
    });
    await execute(connection, 'outside');
    expect(changes).toEqual(['rolled back', 'reset']);
    expect(engine.events.filter((event) => event !== 'close')).toEqual(['begin read committed', 'reset']);
  });
});

describe('a session', () => {
  it('is closed when its client leaves', async () => {
    connection.close();
    await pool.close();
    await server.stop();
    expect(engine.events.filter((event) => event === 'close')).toHaveLength(engine.logins.length);
  });

  it('that breaks a promise of the seam is told to whoever stops the server', async () => {
    engine.when(/lie/, column({ name: 'int', nullable: true }, [2n ** 40n]));
    await expect(execute(connection, 'lie')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(server.stop()).rejects.toThrow('1099511627776 does not fit int');
    server = await startTestSqlServer({ engine });
  });
});

/** The status that a procedure returned, whatever errors came on its way. */
function statusOf(procedure: string): Promise<unknown> {
  return new Promise((resolve) => {
    const request = new Request(procedure, () => undefined);
    request.on('doneProc', (_count: unknown, _more: boolean, status: unknown) => {
      request.callback = () => resolve(status);
    });
    connection.callProcedure(request);
  });
}

function begin(on: Connection, name: string): Promise<void> {
  return called((done) => on.beginTransaction(done, name, ISOLATION_LEVEL['READ_COMMITTED']));
}

function save(on: Connection, name: string): Promise<void> {
  return called((done) => on.saveTransaction(done, name));
}

function rollback(on: Connection, name = ''): Promise<void> {
  return called((done) => on.rollbackTransaction(done, name));
}

function called(run: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error ? reject(error) : resolve()));
  });
}
