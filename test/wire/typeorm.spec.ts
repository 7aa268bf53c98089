import { DataSource, EntitySchema, QueryFailedError } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SqlType } from '../support/sql-server/seam.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { column, message, ScriptedEngine } from './scripted-engine.js';

interface Order {
  readonly id: string;
  readonly note: string;
}

const orders = new EntitySchema<Order>({
  name: 'orders',
  columns: { id: { type: 'bigint', primary: true }, note: { type: 'nvarchar', length: 40 } },
});

const NAME: SqlType = { name: 'nvarchar', length: 128, nullable: true };

let engine: ScriptedEngine;
let server: TestSqlServer;
let database: DataSource;

beforeEach(async () => {
  engine = new ScriptedEngine()
    .when(/from "orders"/i, ({ parameters }) => [
      {
        kind: 'columns',
        columns: [
          { name: 'orders_id', type: { name: 'bigint', nullable: false } },
          { name: 'orders_note', type: { name: 'nvarchar', length: 40, nullable: false } },
        ],
      },
      { kind: 'row', values: [BigInt(String(parameters[0]?.value)), 'ağaç'] },
      { kind: 'done', rows: 1 },
    ])
    .when(/^missing/, [{ kind: 'error', message: message(208, "Invalid object name 'missing'.") }])
    .when(/DB_NAME\(\)/, column(NAME, ['shop'], 'db_name'))
    .when(/SCHEMA_NAME\(\)/, column(NAME, ['dbo'], 'schema_name'));
  server = await startTestSqlServer({ engine });
  database = await new DataSource({
    type: 'mssql',
    host: server.host,
    port: server.port,
    username: 'reader',
    password: 'right',
    database: 'shop',
    entities: [orders],
    options: { encrypt: false },
  }).initialize();
});

afterEach(async () => {
  await database.destroy();
  await server.stop();
});

describe('TypeORM', () => {
  it('reads an entity by its key', async () => {
    const found = await database.getRepository(orders).findOneBy({ id: '9007199254740993' });
    expect(found).toEqual({ id: '9007199254740993', note: 'ağaç' });
  });

  it('passes parameters and gets the text of a query through unchanged', async () => {
    await database.query('select @0 as n, @1 as t', [5, 'ş']);
    expect(engine.requests.at(-1)).toMatchObject({
      sql: 'select @0 as n, @1 as t',
      parameters: [
        { name: '@0', value: expect.anything() },
        { name: '@1', value: 'ş' },
      ],
    });
  });

  it('commits and rolls back over the transaction manager', async () => {
    await database.transaction('SERIALIZABLE', async (manager) => {
      await manager.query('inside');
    });
    await expect(
      database.transaction(async () => {
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect(engine.events.filter((event) => /^(?:begin|commit|rollback)/.test(event))).toEqual([
      'begin serializable',
      'commit',
      'begin read committed',
      'rollback',
    ]);
  });

  it('keeps the number of an error in the error of the driver', async () => {
    const failed = database.query('missing');
    await expect(failed).rejects.toBeInstanceOf(QueryFailedError);
    await expect(failed).rejects.toMatchObject({ driverError: { number: 208 } });
  });
});
