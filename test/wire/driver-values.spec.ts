import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, TYPES } from 'tedious';
import type { SqlType, SqlValue } from '../support/sql-server/seam.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { connect, execute } from './clients.js';
import { column, ScriptedEngine } from './scripted-engine.js';

const LONG_TEXT = 'ağaç 🌲 '.repeat(131_072);
const LONG_BINARY = Buffer.alloc(1_048_576, 'binär');

/** What tedious makes of a date whose fraction goes beyond milliseconds. */
type ExactDate = Date & { readonly nanosecondsDelta?: number };
function exactDate(milliseconds: string, nanosecondsDelta = 0): ExactDate {
  return Object.assign(new Date(milliseconds), { nanosecondsDelta });
}

let engine: ScriptedEngine;
let server: TestSqlServer;
let connection: Connection;

beforeAll(async () => {
  engine = new ScriptedEngine();
  server = await startTestSqlServer({ engine });
});

beforeEach(async () => {
  connection = await connect(server);
});

afterEach(() => {
  connection.close();
});

afterAll(async () => {
  await server.stop();
});

interface Read {
  readonly type: SqlType;
  readonly value: SqlValue;
  readonly read: unknown;
}

const columns: readonly Read[] = [
  { type: { name: 'bit', nullable: true }, value: true, read: true },
  { type: { name: 'tinyint', nullable: false }, value: 255n, read: 255 },
  { type: { name: 'smallint', nullable: true }, value: -32_768n, read: -32_768 },
  { type: { name: 'int', nullable: false }, value: -2_147_483_648n, read: -2_147_483_648 },
  { type: { name: 'bigint', nullable: true }, value: 9_007_199_254_740_993n, read: '9007199254740993' },
  { type: { name: 'bigint', nullable: false }, value: -(2n ** 63n), read: '-9223372036854775808' },
  { type: { name: 'real', nullable: true }, value: 1.5, read: 1.5 },
  { type: { name: 'float', nullable: false }, value: Math.PI, read: Math.PI },
  { type: { name: 'decimal', precision: 9, scale: 2, nullable: true }, value: '-1234567.89', read: -1_234_567.89 },
  {
    type: { name: 'decimal', precision: 38, scale: 10, nullable: false },
    value: '90071992.5474099100',
    read: 90_071_992.547_409_91,
  },
  { type: { name: 'money', nullable: true }, value: '-922337.5807', read: -922_337.5807 },
  { type: { name: 'char', length: 4, nullable: true }, value: 'é €', read: 'é €' },
  { type: { name: 'varchar', length: 50, nullable: true }, value: '', read: '' },
  { type: { name: 'varchar', length: 'max', nullable: true }, value: 'naïve', read: 'naïve' },
  { type: { name: 'nchar', length: 1, nullable: false }, value: 'U', read: 'U' },
  { type: { name: 'nvarchar', length: 20, nullable: true }, value: 'İstanbul 🌲', read: 'İstanbul 🌲' },
  { type: { name: 'nvarchar', length: 'max', nullable: true }, value: '', read: '' },
  { type: { name: 'nvarchar', length: 'max', nullable: false }, value: LONG_TEXT, read: LONG_TEXT },
  {
    type: { name: 'binary', length: 3, nullable: true },
    value: new Uint8Array([0, 1, 2]),
    read: Buffer.from([0, 1, 2]),
  },
  { type: { name: 'varbinary', length: 8, nullable: true }, value: new Uint8Array(), read: Buffer.alloc(0) },
  { type: { name: 'varbinary', length: 'max', nullable: true }, value: LONG_BINARY, read: LONG_BINARY },
  {
    type: { name: 'rowversion', nullable: false },
    value: new Uint8Array([0, 0, 0, 0, 0, 0, 7, 209]),
    read: Buffer.from([0, 0, 0, 0, 0, 0, 7, 209]),
  },
  {
    type: { name: 'uniqueidentifier', nullable: true },
    value: '6F9619FF-8B86-D011-B42D-00C04FC964FF',
    read: '6F9619FF-8B86-D011-B42D-00C04FC964FF',
  },
  { type: { name: 'date', nullable: true }, value: '0001-01-01', read: new Date('0001-01-01T00:00:00Z') },
  {
    type: { name: 'time', scale: 7, nullable: true },
    value: '20:31:05.1234567',
    read: exactDate('1970-01-01T20:31:05.123Z', 0.000_456_7),
  },
  {
    type: { name: 'smalldatetime', nullable: true },
    value: '2026-11-27 20:31:00',
    read: new Date('2026-11-27T20:31:00Z'),
  },
  {
    type: { name: 'datetime', nullable: false },
    value: '2026-11-27 20:31:05.997',
    read: new Date('2026-11-27T20:31:05.997Z'),
  },
  {
    type: { name: 'datetime2', scale: 7, nullable: true },
    value: '9999-12-31 23:59:59.9999999',
    read: exactDate('9999-12-31T23:59:59.999Z', 0.000_999_9),
  },
  {
    type: { name: 'datetimeoffset', scale: 7, nullable: true },
    value: '2026-11-28 01:31:05.1234567 +05:30',
    read: exactDate('2026-11-27T20:01:05.123Z', 0.000_456_7),
  },
];

describe('values of the server, read by tedious', () => {
  it.each(columns)('arrive exactly: $type.name, nullable $type.nullable', async ({ type, value, read }) => {
    engine.when(new RegExp(`^select ${columns.findIndex((entry) => entry.value === value)};$`), column(type, [value]));
    const { rows } = await execute(connection, `select ${columns.findIndex((entry) => entry.value === value)};`);
    const [[found]] = rows as [[unknown]];
    expect(comparable(found)).toEqual(comparable(read));
  });

  it('arrive as null wherever a column allows it, in rows with one null and in rows of nulls', async () => {
    const types = columns.map(({ type }) => ({ ...type, nullable: true }));
    const values = columns.map(({ value }) =>
      value === LONG_TEXT ? '' : value === LONG_BINARY ? new Uint8Array(1) : value,
    );
    engine.when(/^every null$/, [
      { kind: 'columns', columns: types.map((type, index) => ({ name: `c${index}`, type })) },
      { kind: 'row', values: types.map(() => null) },
      ...types.map((_, place) => ({
        kind: 'row' as const,
        values: values.map((value, index) => (index === place ? null : value)),
      })),
      { kind: 'done', rows: types.length + 1 },
    ]);
    const { rows, rowCount } = await execute(connection, 'every null');
    expect(rowCount).toBe(types.length + 1);
    expect(rows[0]).toEqual(types.map(() => null));
    expect(rows.slice(1).map((row) => row.flatMap((value, index) => (value === null ? [index] : [])))).toEqual(
      types.map((_, index) => [index]),
    );
  });
});

interface Sent {
  readonly type: (typeof TYPES)[keyof typeof TYPES];
  readonly options?: { length?: number | 'max'; precision?: number; scale?: number };
  readonly value: unknown;
  readonly seen: { readonly type: Partial<SqlType>; readonly value: SqlValue };
}

const parameters: readonly Sent[] = [
  { type: TYPES.Bit, value: false, seen: { type: { name: 'bit' }, value: false } },
  { type: TYPES.TinyInt, value: 255, seen: { type: { name: 'tinyint' }, value: 255n } },
  { type: TYPES.SmallInt, value: -1, seen: { type: { name: 'smallint' }, value: -1n } },
  { type: TYPES.Int, value: 2_147_483_647, seen: { type: { name: 'int' }, value: 2_147_483_647n } },
  {
    type: TYPES.BigInt,
    value: '9007199254740993',
    seen: { type: { name: 'bigint' }, value: 9_007_199_254_740_993n },
  },
  { type: TYPES.Real, value: 0.5, seen: { type: { name: 'real' }, value: 0.5 } },
  { type: TYPES.Float, value: 1e300, seen: { type: { name: 'float' }, value: 1e300 } },
  {
    type: TYPES.Decimal,
    options: { precision: 38, scale: 10 },
    value: 123.456,
    seen: { type: { name: 'decimal', precision: 38, scale: 10 }, value: '123.4560000000' },
  },
  {
    type: TYPES.Numeric,
    options: { precision: 9, scale: 2 },
    value: -0.01,
    seen: { type: { name: 'decimal', precision: 9, scale: 2 }, value: '-0.01' },
  },
  { type: TYPES.Money, value: -1.25, seen: { type: { name: 'money' }, value: '-1.2500' } },
  { type: TYPES.SmallMoney, value: -1.25, seen: { type: { name: 'money' }, value: '-1.2500' } },
  { type: TYPES.VarChar, value: 'naïve €', seen: { type: { name: 'varchar' }, value: 'naïve €' } },
  { type: TYPES.Char, options: { length: 3 }, value: 'abc', seen: { type: { name: 'char', length: 3 }, value: 'abc' } },
  { type: TYPES.NVarChar, value: 'İ 🌲', seen: { type: { name: 'nvarchar' }, value: 'İ 🌲' } },
  { type: TYPES.NVarChar, value: '', seen: { type: { name: 'nvarchar' }, value: '' } },
  { type: TYPES.NVarChar, value: LONG_TEXT, seen: { type: { name: 'nvarchar', length: 'max' }, value: LONG_TEXT } },
  { type: TYPES.NChar, options: { length: 2 }, value: 'ğ', seen: { type: { name: 'nchar', length: 2 }, value: 'ğ' } },
  { type: TYPES.NText, value: 'old', seen: { type: { name: 'nvarchar', length: 'max' }, value: 'old' } },
  {
    type: TYPES.VarBinary,
    value: LONG_BINARY,
    seen: { type: { name: 'varbinary', length: 'max' }, value: new Uint8Array(LONG_BINARY) },
  },
  {
    type: TYPES.Binary,
    options: { length: 2 },
    value: Buffer.from([1, 2]),
    seen: { type: { name: 'binary', length: 2 }, value: new Uint8Array([1, 2]) },
  },
  { type: TYPES.Image, value: Buffer.from([9]), seen: { type: { name: 'varbinary' }, value: new Uint8Array([9]) } },
  {
    type: TYPES.UniqueIdentifier,
    value: '6f9619ff-8b86-d011-b42d-00c04fc964ff',
    seen: { type: { name: 'uniqueidentifier' }, value: '6F9619FF-8B86-D011-B42D-00C04FC964FF' },
  },
  {
    type: TYPES.Date,
    value: new Date('2024-02-29T00:00:00Z'),
    seen: { type: { name: 'date' }, value: '2024-02-29' },
  },
  {
    type: TYPES.Time,
    options: { scale: 7 },
    value: Object.assign(new Date('1970-01-01T20:31:05.123Z'), { nanosecondDelta: 0.000_456_7 }),
    seen: { type: { name: 'time', scale: 7 }, value: '20:31:05.1234567' },
  },
  {
    type: TYPES.SmallDateTime,
    value: new Date('2026-11-27T20:31:00Z'),
    seen: { type: { name: 'smalldatetime' }, value: '2026-11-27 20:31:00' },
  },
  {
    type: TYPES.DateTime,
    value: new Date('2026-11-27T20:31:05.997Z'),
    seen: { type: { name: 'datetime' }, value: '2026-11-27 20:31:05.997' },
  },
  {
    type: TYPES.DateTime2,
    options: { scale: 7 },
    value: Object.assign(new Date('2026-11-27T20:31:05.123Z'), { nanosecondDelta: 0.000_456_7 }),
    seen: { type: { name: 'datetime2', scale: 7 }, value: '2026-11-27 20:31:05.1234567' },
  },
  {
    type: TYPES.DateTimeOffset,
    options: { scale: 3 },
    value: new Date('2026-11-27T20:31:05.123Z'),
    seen: { type: { name: 'datetimeoffset', scale: 3 }, value: expect.stringMatching(/:05\.123 [+-]\d\d:\d\d$/) },
  },
];

describe('parameters of tedious, read by the server', () => {
  it.each(parameters)('arrive exactly: $type.name', async ({ type, options, value, seen }) => {
    const sent = await parameterOf(type, value, options);
    expect(sent).toMatchObject({ name: '@p', output: false, type: seen.type });
    expect(sent?.value).toEqual(seen.value);
  });

  it.each(parameters)('arrive as null: $type.name', async ({ type, options, seen }) => {
    const sent = await parameterOf(type, null, options);
    expect(sent).toMatchObject({ name: '@p', type: { name: seen.type.name }, value: null });
  });

  it('are refused with the name of the type where the test server has not got it', async () => {
    await expect(
      execute(connection, 'select @p', {
        prepare: (request) => request.addParameter('p', TYPES.Variant, 1),
      }),
    ).rejects.toThrow();
    await expect(
      execute(connection, 'select @p', {
        prepare: (request) => request.addParameter('p', TYPES.TVP, { columns: [], rows: [] }),
      }),
    ).rejects.toMatchObject({ number: 50_000, message: 'The test server knows no parameter of type 0xf3' });
  });
});

async function parameterOf(
  type: Sent['type'],
  value: unknown,
  options?: Sent['options'],
): Promise<ScriptedEngine['requests'][number]['parameters'][number] | undefined> {
  await execute(connection, 'select @p', {
    prepare: (request) => request.addParameter('p', type, value, options as { scale?: number }),
  });
  return engine.requests.at(-1)?.parameters[0];
}

/** A date with what stands beyond its milliseconds; other values as they are. */
function comparable(value: unknown): unknown {
  if (!(value instanceof Date)) {
    return value;
  }
  const { nanosecondsDelta = 0 } = value as ExactDate;
  return { at: value.toISOString(), nanosecondsDelta };
}
