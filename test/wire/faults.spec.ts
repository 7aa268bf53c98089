import fc from 'fast-check';
import type { ConnectionPool } from 'mssql';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import type { FaultPlan, RequestFault, RequestPoint } from '../support/sql-server/wire/faults/fault-plan.js';
import { FaultScript } from '../support/sql-server/wire/faults/fault-script.js';
import { SeededFaults } from '../support/sql-server/wire/faults/seeded-faults.js';
import { connect, connectPool, execute } from './clients.js';
import { message, numbers, ScriptedEngine } from './scripted-engine.js';

const deadlock = message(1_205, 'Transaction was deadlocked.', { class: 13, state: 51 });

let engine: ScriptedEngine;
let faults: FaultScript;
let server: TestSqlServer;

async function start(plan: FaultPlan): Promise<void> {
  server = await startTestSqlServer({ engine, faults: plan });
}

beforeEach(async () => {
  faults = new FaultScript();
  engine = new ScriptedEngine()
    .when(/^three/, numbers(1, 2, 3))
    .when(/^echo/, ({ parameters }) => numbers(Number(parameters[0]?.value), Number(parameters[0]?.value) + 1));
  await start(faults);
});

afterEach(async () => {
  await server.stop();
  expect(faults.pending).toBe(0);
});

describe('a request', () => {
  it('whose connection is cut before execution was not done', async () => {
    faults.onRequest('three', { kind: 'cut', when: 'execution' });
    await lost();
    expect(done()).toBe(0);
  });

  it('whose connection is cut before its reply was done, and its client does not know', async () => {
    faults.onRequest('three', { kind: 'cut', when: 'reply' });
    await lost();
    expect(done()).toBe(1);
  });

  it('may lose its connection in the middle of a row: the rows before it arrived, the end did not', async () => {
    faults.onRequest('three', { kind: 'cutInRow', row: 3 });
    const pool = await connectPool(server);
    const request = pool.request();
    request.stream = true;
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      request.on('row', ({ value }) => seen.push(value));
      request.on('error', ({ code }: { code: string }) => seen.push(code));
      request.on('done', () => resolve());
      void request.query('three');
    });
    expect(seen.slice(0, 2)).toEqual([1, 2]);
    expect(seen.slice(2)).not.toContain(3);
    expect(seen.slice(2)).not.toEqual([]);
    await pool.close();
  });

  it('may lose its connection after any byte of the reply', async () => {
    for (const bytes of [1, 7, 8, 9, 20, 40]) {
      faults.onRequest('three', { kind: 'cutAtByte', bytes });
      await lost();
    }
  });

  it('survives a reply that comes byte by byte', async () => {
    faults.onRequest('three', { kind: 'trickle', bytes: 1 });
    const connection = await connect(server);
    expect((await execute(connection, 'three')).rows).toEqual([[1], [2], [3]]);
    connection.close();
  });

  it('fails on a reply that is no TDS', async () => {
    faults.onRequest('three', { kind: 'garbage' });
    const connection = await connect(server);
    connection.on('error', () => undefined);
    await expect(execute(connection, 'three')).rejects.toThrow();
    connection.close();
  });

  it('meets an error of any number, instead of its execution or after rows', async () => {
    faults
      .onRequest('three', { kind: 'error', message: deadlock })
      .onRequest('three', { kind: 'error', message: deadlock, afterRows: 2 });
    const connection = await connect(server);
    await expect(execute(connection, 'three')).rejects.toMatchObject({ number: 1_205 });
    expect(done()).toBe(0);
    await expect(execute(connection, 'three')).rejects.toMatchObject({ number: 1_205 });
    expect((await execute(connection, 'three')).rows).toHaveLength(3);
    connection.close();
  });

  it('meets an error that also ends its transaction', async () => {
    faults.onRequest('three', { kind: 'error', message: deadlock, rollsBack: true });
    const pool = await connectPool(server);
    const transaction = pool.transaction();
    await transaction.begin();
    await expect(transaction.request().query('three')).rejects.toMatchObject({ number: 1_205 });
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'EABORT' });
    expect(engine.events).toContain('rollback');
    await pool.close();
  });

  it('may be a commit that was done before the cut', async () => {
    faults.onRequest(({ kind }) => kind === 'commit', { kind: 'cut', when: 'reply' });
    const pool = await connectPool(server);
    const transaction = pool.transaction();
    await transaction.begin();
    await expect(transaction.commit()).rejects.toThrow();
    expect(engine.events).toContain('commit');
    await pool.close();
  });

  it('waits until a test lets it go on', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    faults.onRequest('three', { kind: 'wait', when: 'reply', until: () => gate });
    const connection = await connect(server);
    let answered = false;
    const answer = execute(connection, 'three').then((found) => {
      answered = true;
      return found;
    });
    await expect.poll(done).toBe(1);
    expect(answered).toBe(false);
    release();
    expect((await answer).rows).toHaveLength(3);
    connection.close();
  });

  it('finds nobody at the other end of a frozen connection, and other connections serve', async () => {
    faults.onRequest('three', { kind: 'freeze' });
    const [frozen, other] = [await connect(server, { cancelTimeout: 100 }), await connect(server)];
    await expect(execute(frozen, 'three', { prepare: (request) => request.setTimeout(50) })).rejects.toMatchObject({
      message: 'Failed to cancel request in 100ms',
    });
    expect((await execute(other, 'three')).rows).toHaveLength(3);
    frozen.close();
    other.close();
  });
});

describe('a connection', () => {
  it('may be cut, or frozen, before a word', async () => {
    faults.onConnect({ kind: 'cut' }).onConnect({ kind: 'freeze' });
    await expect(connect(server)).rejects.toMatchObject({ code: 'ESOCKET' });
    await expect(connect(server, { connectTimeout: 100 })).rejects.toMatchObject({ code: 'ETIMEOUT' });
    (await connect(server)).close();
  });

  it('may be cut, or frozen, at its login', async () => {
    faults.onLogin({ kind: 'cut' }).onLogin({ kind: 'freeze' });
    await expect(connect(server)).rejects.toThrow();
    await expect(connect(server, { connectTimeout: 100 })).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(engine.logins).toEqual([]);
  });

  it('of every client is cut when the server goes down, and welcome when it is back', async () => {
    const pool = await connectPool(server);
    await server.goDown();
    await expect(pool.request().query('three')).rejects.toThrow();
    await expect(connect(server)).rejects.toMatchObject({ code: 'ESOCKET' });
    await server.listenAgain();
    expect((await pool.request().query('three')).recordset).toHaveLength(3);
    await pool.close();
    await expect.poll(() => server.openConnections).toBe(0);
  });
});

describe('a pool', () => {
  it('serves a thousand requests at once over a few connections, each with its own answer', async () => {
    const pool = await connectPool(server, { pool: { max: 8 }, validateConnection: 'socket' });
    const answers = await Promise.all(Array.from({ length: 1_000 }, (_, n) => echo(pool, n)));
    expect(answers).toEqual(Array.from({ length: 1_000 }, (_, n) => [n, n + 1]));
    expect(server.openConnections).toBeLessThanOrEqual(8);
    await pool.close();
  });

  it('gets the right answer or an error under any faults, and the right one when they are over', async () => {
    await server.stop();
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const plan = new SeededFaults({
          random: new SeededRandom(seed),
          requestRate: 0.3,
          requestFaults: FAULTS,
          loginRate: 0.1,
          loginFaults: [{ kind: 'cut' }],
          only: onlyEchoes,
        });
        await start(plan);
        const pool = await connectDespiteFaults();
        const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => echo(pool, n)));
        for (const [n, outcome] of outcomes.entries()) {
          if (outcome.status === 'fulfilled') {
            expect(outcome.value).toEqual([n, n + 1]);
          }
        }
        plan.stop();
        expect(await Promise.all([echo(pool, 7), echo(pool, 8)])).toEqual([
          [7, 8],
          [8, 9],
        ]);
        await pool.close();
        await server.stop();
      }),
      { numRuns: 12 },
    );
    await start(faults);
  });
});

const FAULTS: readonly RequestFault[] = [
  { kind: 'cut', when: 'execution' },
  { kind: 'cut', when: 'reply' },
  { kind: 'cutInRow', row: 2 },
  { kind: 'cutAtByte', bytes: 30 },
  { kind: 'trickle', bytes: 3 },
  { kind: 'error', message: deadlock },
  { kind: 'error', message: deadlock, afterRows: 1 },
  { kind: 'wait', when: 'reply', until: () => Promise.resolve() },
];

function onlyEchoes({ sql }: RequestPoint): boolean {
  return sql.startsWith('echo');
}

async function echo(pool: ConnectionPool, n: number): Promise<readonly number[]> {
  const { recordset } = await pool.request().input('n', n).query<{ value: number }>('echo @n');
  return recordset.map(({ value }) => value);
}

/** A login may be cut as well: whoever wants in tries again. */
async function connectDespiteFaults(attempt = 1): Promise<ConnectionPool> {
  try {
    return await connectPool(server, { pool: { max: 4 } });
  } catch (error) {
    if (attempt === 20) {
      throw error;
    }
    return connectDespiteFaults(attempt + 1);
  }
}

async function lost(): Promise<void> {
  const connection = await connect(server);
  await expect(execute(connection, 'three')).rejects.toMatchObject({ code: expect.stringMatching(/ECONN|ESOCKET/) });
  connection.close();
}

function done(): number {
  return engine.requests.filter(({ sql }) => sql === 'three').length;
}
