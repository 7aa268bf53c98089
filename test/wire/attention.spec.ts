import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, Request } from 'tedious';
import type { SqlReply, SqlRequest } from '../support/sql-server/seam.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { FaultScript } from '../support/sql-server/wire/faults/fault-script.js';
import { connect, connectPool, execute } from './clients.js';
import { numbers, ScriptedEngine } from './scripted-engine.js';

let engine: ScriptedEngine;
let faults: FaultScript;
let server: TestSqlServer;
let connection: Connection;
let started: Promise<void>;
let ended: string[];

beforeEach(async () => {
  ended = [];
  faults = new FaultScript();
  let start = (): void => undefined;
  started = new Promise((resolve) => {
    start = resolve;
  });
  engine = new ScriptedEngine().when(/one/, numbers(1)).when(/^forever/, async function* (request) {
    start();
    yield* numbers(1).slice(0, 2);
    await aborted(request);
    ended.push('forever');
    yield { kind: 'transaction', event: 'rolledBack', descriptor: 1n } satisfies SqlReply;
    yield { kind: 'error', message: { number: 1, class: 16, state: 1, line: 1, message: 'nobody hears this' } };
    ended.push('unreachable');
  });
  server = await startTestSqlServer({ engine, faults });
  connection = await connect(server, { cancelTimeout: 300 });
});

afterEach(async () => {
  connection.close();
  await server.stop();
  expect(faults.pending).toBe(0);
});

describe('an attention', () => {
  it('stops a request that the client cancelled, and the connection goes on', async () => {
    const cancelled = execute(connection, 'forever', {
      prepare: (request) => {
        void started.then(() => connection.cancel());
        request.on('row', () => undefined);
      },
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'ECANCEL' });
    expect(ended).toEqual(['forever']);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('stops a request that took too long', async () => {
    const slow = execute(connection, 'forever', { prepare: (request) => request.setTimeout(50) });
    await expect(slow).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(ended).toEqual(['forever']);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('gives a pool its connection back', async () => {
    const pool = await connectPool(server, { pool: { max: 1 } });
    const request = pool.request();
    const cancelled = request.query('forever');
    void started.then(() => request.cancel());
    await expect(cancelled).rejects.toMatchObject({ code: 'ECANCEL' });
    expect((await pool.request().query('one')).recordset).toEqual([{ value: 1 }]);
    await pool.close();
    expect(ended).toEqual(['forever']);
  });

  it('ends a wait before the engine hears of the request', async () => {
    faults.onRequest('one', { kind: 'wait', when: 'execution', until: never });
    const slow = execute(connection, 'one', { prepare: (request) => request.setTimeout(50) });
    await expect(slow).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(engine.requests.filter(({ sql }) => sql === 'one')).toEqual([]);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('ends a wait with the reply in hand: the request was done, and its client will never know', async () => {
    faults.onRequest('one', { kind: 'wait', when: 'reply', until: never });
    const slow = execute(connection, 'one', { prepare: (request) => request.setTimeout(50) });
    await expect(slow).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(engine.requests.filter(({ sql }) => sql === 'one')).toHaveLength(1);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('is acknowledged also when the reply was lost', async () => {
    faults.onRequest('one', { kind: 'swallow' });
    const slow = execute(connection, 'one', { prepare: (request) => request.setTimeout(50) });
    await expect(slow).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('that nobody acknowledges makes the client give the connection up', async () => {
    faults.onAttention({ kind: 'ignore' });
    const slow = execute(connection, 'forever', { prepare: (request) => request.setTimeout(50) });
    await expect(slow).rejects.toMatchObject({ message: 'Failed to cancel request in 300ms' });
    await expect(execute(connection, 'one')).rejects.toMatchObject({ code: 'EINVALIDSTATE' });
    await expect.poll(() => ended).toEqual(['forever']);
  });

  it('for a request that was never sent whole is none: the server drops the message and answers', async () => {
    const request = new Request('never whole', () => undefined);
    const answer = new Promise((resolve, reject) => {
      request.callback = (error) => (error ? reject(error) : resolve(undefined));
    });
    connection.execSqlBatch(request);
    request.cancel();
    await expect(answer).rejects.toMatchObject({ code: 'ECANCEL' });
    expect(engine.requests.filter(({ sql }) => sql.includes('never'))).toEqual([]);
    expect((await execute(connection, 'one')).rows).toEqual([[1]]);
  });

  it('of a client that leaves instead stops its request as well', async () => {
    const left = execute(connection, 'forever');
    await started;
    connection.close();
    await expect(left).rejects.toThrow();
    await server.stop();
    expect(ended).toEqual(['forever']);
  });
});

function aborted({ signal }: SqlRequest): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    } else {
      signal.addEventListener('abort', () => resolve(), { once: true });
    }
  });
}

function never(): Promise<void> {
  return new Promise(() => undefined);
}
