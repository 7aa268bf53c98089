import {
  classifySqlServerError,
  MssqlPool,
  type SqlServerAnswer,
  sqlServerCdc,
  SqlServerPool,
  type SqlServerStatement,
} from '@smartpulse/cdc/sql-server';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../support/sql-server/engine/direct/ask.js';
import { DirectPool } from '../support/sql-server/engine/direct/direct-pool.js';
import { SqlServerEngine } from '../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { FaultScript } from '../support/sql-server/wire/faults/fault-script.js';
import type { RequestFault } from '../support/sql-server/wire/faults/fault-plan.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

const { signal } = new AbortController();
const TABLE = 'dbo.stock';

/** An engine with one table, and a pool to it. */
interface End {
  readonly engine: SqlServerEngine;
  readonly faults: FaultScript;
  readonly pool: SqlServerPool;
  readonly close: () => Promise<void>;
}

async function engineWith(clock: VirtualClock): Promise<SqlServerEngine> {
  const engine = new SqlServerEngine({ clock, random: new SeededRandom(1) });
  const shop = engine.createDatabase('shop');
  shop.track();
  shop.allowSnapshotIsolation = true;
  const session = await engine.login({
    user: 'sa',
    password: 'any',
    database: 'shop',
    application: 'spec',
    host: 'here',
    readOnlyIntent: false,
  });
  await ask(
    session,
    `CREATE TABLE ${TABLE} (id bigint NOT NULL, region nvarchar(20) NOT NULL, level int NOT NULL, small tinyint NULL, flag bit NULL,
      price decimal(18,4) NULL, at datetime2(7) NULL, bytes varbinary(20) NULL, guid uniqueidentifier NULL, share float NULL, PRIMARY KEY (id, region));
     ALTER TABLE ${TABLE} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);`,
  );
  session.close();
  shop.write((tx) => {
    tx.insert(TABLE, { id: 9_007_199_254_740_993n, region: 'İzmir', level: 1, flag: true, small: 255, share: 0.1 });
    tx.insert(TABLE, { id: 1n, region: '', level: -1, price: '1.5000', at: '2026-11-27 20:31:05.1234567' });
  });
  shop.write((tx) => {
    tx.update(TABLE, { id: 1n, region: '' }, { level: 2, bytes: Uint8Array.of(0, 255) });
    tx.insert(TABLE, { id: 2n, region: 'x', level: 3, guid: '6F9619FF-8B86-D011-B42D-00C04FC964FF' });
  });
  return engine;
}

async function direct(clock: VirtualClock): Promise<End> {
  const engine = await engineWith(clock);
  const faults = new FaultScript();
  const pool = new DirectPool({ engine, database: 'shop', size: 2, faults });
  return { engine, faults, pool, close: () => pool.close() };
}

async function overTheWire(clock: VirtualClock): Promise<End> {
  const engine = await engineWith(clock);
  const faults = new FaultScript();
  const server: TestSqlServer = await startTestSqlServer({ engine, faults });
  const pool = new MssqlPool({
    target: { server: server.host, port: server.port, database: 'shop', user: 'sa', password: 'any', encrypt: false },
    size: 2,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 5_000,
    applicationName: 'spec',
  });
  const close = async (): Promise<void> => {
    await pool.close();
    await server.stop();
  };
  return { engine, faults, pool, close };
}

/** Notes every answer. */
class NotingPool extends SqlServerPool {
  readonly answers: (readonly [statement: string, answer: SqlServerAnswer])[] = [];

  constructor(private readonly pool: SqlServerPool) {
    super();
  }

  override async run(statement: SqlServerStatement, cancel?: AbortSignal): Promise<SqlServerAnswer> {
    const answer = await this.pool.run(statement, cancel);
    this.answers.push([statement.name, answer]);
    return answer;
  }

  override close(): Promise<void> {
    return this.pool.close();
  }
}

describe('A pool without packets', () => {
  const clock = new VirtualClock();
  let ends: readonly [End, End];

  beforeEach(async () => {
    ends = [await direct(clock), await overTheWire(clock)];
  });
  afterEach(() => Promise.all(ends.map(({ close }) => close())));

  it('answers every statement of change capture as the driver does, value by value', async () => {
    const answers = await Promise.all(
      ends.map(async ({ pool }) => {
        const noting = new NotingPool(pool);
        const { source, checkpoints, leadership } = sqlServerCdc({
          name: 'shop',
          pool: noting,
          createBookkeeping: true,
          clock,
          random: new SeededRandom(2),
        });
        const { schemaHash } = await source.describe(TABLE);
        const { epoch, tables } = await source.state([TABLE]);
        const lease = await leadership.acquire('one');
        const page = await source.readPage({ table: TABLE, after: 0n, cursor: null, limit: 2, signal });
        const cursor = page.cursors.at(-1) ?? null;
        await source.readPage({ table: TABLE, after: 1n, cursor, limit: 2, signal });
        const { lastKey } = await source.readChunk({ table: TABLE, afterKey: null, limit: 2, signal });
        await source.readChunk({ table: TABLE, afterKey: lastKey, limit: 2, signal });
        const { objectId = '', beginVersion = 0n } = tables.get(TABLE) ?? {};
        const key = { consumer: 'c', source: 'shop', table: TABLE };
        const position = { ...key, epoch, objectId, beginVersion, schemaHash, sinkInstance: 's', upToDateAtMs: null };
        await checkpoints.save({ ...position, phase: { kind: 'streaming', version: 1n, cursor } }, lease?.fence ?? 0n);
        await checkpoints.load(key);
        await source.raiseEpoch(epoch);
        await source.close();
        return noting.answers;
      }),
    );
    expect(answers[0]?.length).toBeGreaterThan(20);
    expect(answers[0]).toEqual(answers[1]);
  });

  it.each([
    ['a mistake in the grammar', 'SELECT FROM'],
    ['a table that is not there', 'SELECT 1 AS one FROM dbo.nowhere AS n'],
    ['rows before an error', `SELECT s.id FROM ${TABLE} AS s; SELECT CONVERT(int, N'x') AS number`],
    ['several errors, the cause first', 'ALTER DATABASE shop SET CHANGE_TRACKING = OFF'],
  ])('throws what the driver throws: %s', async (_title, sql) => {
    const failures = await Promise.all(ends.map(({ pool }) => failureOf(pool, sql)));
    expect(failures[0]).toMatchObject({ number: expect.any(Number) });
    expect(failures[0]).toEqual(failures[1]);
  });

  it.each<[string, RequestFault]>([
    ['a connection that is cut before the execution', { kind: 'cut', when: 'execution' }],
    ['a connection that is cut before the reply', { kind: 'cut', when: 'reply' }],
    [
      'an error of the server',
      { kind: 'error', message: { number: 1205, class: 13, state: 45, line: 1, message: 'a deadlock' } },
    ],
  ])('fails as the driver does, and goes on: %s', async (_title, fault) => {
    const failures = await Promise.all(
      ends.map(async ({ pool, faults }) => {
        faults.onRequest('SELECT 1 AS one', fault);
        return failureOf(pool, 'SELECT 1 AS one');
      }),
    );
    expect(failures[0]).toEqual(failures[1]);
    const answers = await Promise.all(
      ends.map(({ pool }) => pool.run({ name: 'again', sql: 'SELECT 1 AS one', parameters: [] })),
    );
    expect(answers).toEqual([[[[1]]], [[[1]]]]);
  });

  it('replaces a connection that the server has ended before it lends it, and leaves no session behind', async () => {
    const [{ pool, engine }] = ends;
    const one = { name: 'one', sql: 'SELECT 1 AS one', parameters: [] };
    await pool.run(one);
    engine.killSessions('shop');
    expect(engine.sessions).toBe(0);
    expect(await pool.run(one)).toEqual([[[1]]]);
    await pool.close();
    expect(engine.sessions).toBe(0);
    await expect(pool.run(one)).rejects.toMatchObject({ code: 'ESOCKET' });
  });
});

async function failureOf(pool: SqlServerPool, sql: string): Promise<object> {
  const error: unknown = await pool.run({ name: 'wrong', sql, parameters: [] }).catch((thrown: unknown) => thrown);
  const { class: errorClass, number, message } = classifySqlServerError(error);
  return { class: errorClass, number, message };
}
