import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CheckpointExpiredError,
  PrimaryKeyMissingError,
  TableNotFoundError,
  TableNotTrackedError,
} from '../../cdc.errors.js';
import { type SqlServerAnswer, SqlServerPool } from '../pool/sql-server.pool.js';
import { SqlServerStatements } from '../pool/sql-server.statements.js';
import {
  ChangeTrackingOffError,
  ColumnNotFoundError,
  ColumnTypeError,
  SecondaryReplicaError,
  SqlServerAnswerError,
  SqlServerBookkeepingError,
  SqlServerStatementError,
  TableNotPermittedError,
} from '../sql-server.errors.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { encodeChangeContext } from './change-context.js';
import { type ChangeTrackingSourceOptions, SqlServerChangeTrackingSource } from './change-tracking.source.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

type Script = SqlServerAnswer | Error;

/** Answers each statement by its name, the last answer again and again. */
class ScriptedPool extends SqlServerPool {
  readonly sent: SqlServerStatement[] = [];

  constructor(readonly scripts: Record<string, Script[]>) {
    super();
  }

  override run(statement: SqlServerStatement): Promise<SqlServerAnswer> {
    this.sent.push(statement);
    const script = this.scripts[statement.name] ?? [];
    const answer = script.length > 1 ? script.shift() : script[0];
    if (answer === undefined) {
      return Promise.reject(new Error(`nothing is scripted for ${statement.name}`));
    }
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }

  get names(): readonly string[] {
    return this.sent.map(({ name }) => name);
  }
}

const serverError = (number: number, message = 'said the server') =>
  Object.assign(new Error(message), { code: 'EREQUEST', number, class: 16 });

const FORK = '11111111-2222-3333-4444-555555555555';
const ABOUT = [245575913, '100', 1, 1, 'READ_WRITE'];
const COLUMNS = [
  [1, 'id', 'bigint', 8, 19, 0, false, null],
  [2, 'price', 'decimal', 9, 18, 4, false, null],
  [3, 'at', 'datetime2', 8, 27, 7, false, null],
  [4, 'note', 'nvarchar', 400, 0, 0, false, 'Latin1_General_100_CI_AS'],
];
const DESCRIBED: SqlServerAnswer = [[ABOUT], [[1]], [[true, '3', '3', null]], COLUMNS, [[1, false]]];
const described = (...changes: readonly [set: number, rows: readonly (readonly unknown[])[]][]): SqlServerAnswer =>
  DESCRIBED.map((rows, index) => changes.find(([set]) => set === index)?.[1] ?? rows);

const TRACKING: readonly (readonly unknown[])[] = [[245575913, '3', '3']];
const page = (
  rows: readonly (readonly unknown[])[],
  { upper = '100', oldest = '3', after = TRACKING } = {},
): SqlServerAnswer => [[[upper, oldest]], rows, after, [['7']]];

const upsert = (version: string, id: string, mask: string | null = null, context: Uint8Array | null = null) => {
  const row = [id, '12.5000', '2026-11-27 20:31:05.1234567', 'a note'];
  return [version, 'U', mask, context, 1, id, ...row];
};
const gone = (version: string, id: string, operation = 'D') => {
  const row = [null, null, null, null];
  return [version, operation, null, null, 0, id, ...row];
};

function source(scripts: Record<string, Script[]>, options: Partial<ChangeTrackingSourceOptions> = {}) {
  const pool = new ScriptedPool({ describeTable: [DESCRIBED], ...scripts });
  const statements = new SqlServerStatements({
    pool,
    source: 'stock',
    schema: 'smartpulse',
    lockTimeoutMs: 5_000,
    createBookkeeping: false,
  });
  return {
    pool,
    source: new SqlServerChangeTrackingSource({ statements, isolation: 'auto', forceSeek: false, ...options }),
  };
}

const request = (after: bigint, cursor: { version: bigint; key: string } | null = null) => ({
  table: 'dbo.stock',
  after,
  cursor,
  limit: 10,
  signal: new AbortController().signal,
});

describe('SqlServerChangeTrackingSource', () => {
  it('carries decimals, instants and integers beyond 2^53 without losing a digit', async () => {
    const id = '9007199254740993';
    const { source: read } = source({ readChanges: [page([upsert('42', id)])] });
    const { changes, cursors, epoch, upperVersion } = await read.readPage(request(41n));

    expect(changes).toMatchObject([
      {
        source: 'stock',
        table: 'dbo.stock',
        operation: 'upsert',
        primaryKey: { id: 9_007_199_254_740_993n },
        row: { id: 9_007_199_254_740_993n, price: '12.5000', at: '2026-11-27T20:31:05.1234567Z', note: 'a note' },
        version: { epoch: 7n, version: 42n },
        changedColumns: null,
        origin: null,
      },
    ]);
    expect(cursors).toEqual([{ version: 42n, key: `["${id}"]` }]);
    expect([epoch, upperVersion]).toEqual([7n, 100n]);
  });

  it('reads masks and change contexts, and no other bytes than ours', async () => {
    const { source: read } = source({
      readChanges: [
        page([
          upsert('42', '1', '010', encodeChangeContext('importer')),
          upsert('42', '2', null, new Uint8Array([1, 2, 3])),
        ]),
      ],
    });
    const { changes } = await read.readPage(request(41n));

    expect(changes.map(({ changedColumns, origin }) => [changedColumns, origin])).toEqual([
      [['at'], 'importer'],
      [null, null],
    ]);
  });

  it('tells a delete without a row, and a row that is gone again as a delete', async () => {
    const { source: read } = source({ readChanges: [page([gone('42', '1'), gone('43', '2', 'U')])] });
    const { changes } = await read.readPage(request(41n));

    expect(changes).toMatchObject([
      { operation: 'delete', row: null, primaryKey: { id: 1 } },
      { operation: 'delete', row: null, primaryKey: { id: 2 } },
    ]);
  });

  it('leaves what is newer than the version that was read first to the next page', async () => {
    const { source: read } = source({ readChanges: [page([upsert('42', '1'), upsert('43', '2')], { upper: '42' })] });
    const { changes, upperVersion } = await read.readPage(request(41n));

    expect([changes.length, upperVersion]).toEqual([1, 42n]);
  });

  it('goes on inside a version with the exact values of the key', async () => {
    const { source: read, pool } = source({ readChanges: [page([])] });
    await read.readPage(request(41n, { version: 42n, key: '["9007199254740993"]' }));

    expect(pool.sent.at(-1)?.parameters).toContainEqual({ name: 'key0', type: 'nvarchar', value: '9007199254740993' });
    await expect(read.readPage(request(41n, { version: 42n, key: 'damaged' }))).rejects.toThrow(/stored position/);
  });

  it.each(['snapshot', 'read-committed'] as const)(
    'refuses a page of %s whose position clean-up overtook, before the rows were read or meanwhile',
    async (isolation) => {
      const name = isolation === 'snapshot' ? 'readChanges' : 'readChangesCommitted';
      const before = source({ [name]: [page([], { oldest: '42' })] }, { isolation });
      await expect(before.source.readPage(request(41n))).rejects.toThrow(CheckpointExpiredError);

      const after = [[245575913, '3', '42']];
      const meanwhile = source({ [name]: [page([], { after })] }, { isolation });
      await expect(meanwhile.source.readPage(request(41n))).rejects.toThrow(CheckpointExpiredError);

      const enough = source({ [name]: [page([], { after })] }, { isolation });
      expect((await enough.source.readPage(request(42n))).state.minValidVersion).toBe(42n);
    },
  );

  it('reads committed rows where the database allows no snapshots, by its own word or by error 3952', async () => {
    const off = source({ describeTable: [described([1, [[0]]])], readChangesCommitted: [page([])] });
    await off.source.readPage(request(41n));
    expect(off.pool.names).toEqual(['describeTable', 'readChangesCommitted']);

    const refused = source({ readChanges: [serverError(3952)], readChangesCommitted: [page([])] });
    await refused.source.readPage(request(41n));
    await refused.source.readPage(request(41n));
    expect(refused.pool.names).toEqual([
      'describeTable',
      'readChanges',
      'readChangesCommitted',
      'readChangesCommitted',
    ]);
    // Allowed again: the next look at the table tells.
    await refused.source.describe('dbo.stock');
    refused.pool.scripts['readChanges'] = [page([])];
    await refused.source.readPage(request(41n));
    expect(refused.pool.names.at(-1)).toBe('readChanges');

    const strict = source({ readChanges: [serverError(3952)] }, { isolation: 'snapshot' });
    await expect(strict.source.readPage(request(41n))).rejects.toMatchObject({
      failure: { class: 'snapshotUnavailable' },
    });
  });

  it.each([
    ['a secondary', described([0, [[1, '100', 1, 1, 'READ_ONLY']]]), SecondaryReplicaError],
    ['a database without tracking', described([0, [[1, null, 1, 1, 'READ_WRITE']]]), ChangeTrackingOffError],
    ['a missing table', described([0, [[null, '100', null, null, 'READ_WRITE']]]), TableNotFoundError],
    ['a missing right', described([0, [[1, '100', 1, 0, 'READ_WRITE']]]), TableNotPermittedError],
    ['a table without tracking', described([2, []]), TableNotTrackedError],
    ['a table without a key', described([4, []]), PrimaryKeyMissingError],
    [
      'a type without text',
      described([3, [...COLUMNS, [5, 'x', 'sql_variant', 8016, 0, 0, false, null]]]),
      ColumnTypeError,
    ],
  ] as const)('tells %s from the other causes of an unreadable table', async (_, answer, expected) => {
    const { source: read } = source({ describeTable: [answer] });
    await expect(read.describe('dbo.stock')).rejects.toThrow(expected);
  });

  it('looks again, and says exactly what is wrong, when the server refuses a page', async () => {
    const { source: read } = source({
      describeTable: [DESCRIBED, described([2, []])],
      readChanges: [serverError(22105)],
    });
    await expect(read.readPage(request(41n))).rejects.toThrow(TableNotTrackedError);
    const transient = source({ readChanges: [serverError(1205)] });
    await expect(transient.source.readPage(request(41n))).rejects.toThrow(SqlServerStatementError);
    expect(transient.pool.names).toEqual(['describeTable', 'readChanges']);
  });

  it('reads on with a plan that seeks after a page that took too long, and goes on inside the version that it was in', async () => {
    const timeout = Object.assign(new Error('Timeout: Request failed to complete in 15000ms'), { code: 'ETIMEOUT' });
    const { source: read, pool } = source(
      { readChanges: [page([]), timeout, page([upsert('42', '2')])] },
      { forceSeek: 'auto' },
    );
    const cursor = { version: 42n, key: '["1"]' };
    await read.readPage(request(41n));
    await expect(read.readPage(request(41n, cursor))).rejects.toMatchObject({ failure: { class: 'timeout' } });
    const { changes } = await read.readPage(request(41n, cursor));

    expect(changes).toHaveLength(1);
    const pages = pool.sent.filter(({ name }) => name === 'readChanges');
    expect(pages.map(({ sql }) => sql.includes('FORCESEEK'))).toEqual([false, false, true]);
    const [, slow, sought] = pages;
    expect(sought?.sql.replace(', FORCESEEK', '')).toBe(slow?.sql);
    expect(sought?.parameters).toEqual(slow?.parameters);
  });

  it('never quotes what the server said about a row', async () => {
    const { source: read } = source({ readChanges: [serverError(2627, 'duplicate key value is (secret)')] });
    const error: unknown = await read.readPage(request(41n)).catch((thrown: unknown) => thrown);

    expect(String(error)).not.toContain('secret');
    expect(error).toMatchObject({ failure: { number: 2627 } });
  });

  it('has the state of all tables in one round trip, null where one is not tracked', async () => {
    const { source: read, pool } = source({
      lookAtSource: [[[['7']], [['100']], [[7, 'DAYS']], [[11, null]], [[11, '5', '9', '40']]]],
    });
    const { epoch, currentVersion, tables } = await read.state(['dbo.stock', 'dbo.gone']);

    expect(pool.names).toEqual(['lookAtSource']);
    expect([epoch, currentVersion]).toEqual([7n, 100n]);
    expect([...tables]).toEqual([
      ['dbo.stock', { table: 'dbo.stock', objectId: '11', beginVersion: 5n, minValidVersion: 9n, definition: '40' }],
      ['dbo.gone', null],
    ]);
  });

  it('asks of tables that it knows only whether they are as they were, and looks anew at any difference', async () => {
    const look = (oldest: string, altered = '2'): SqlServerAnswer => [
      [['7', FORK, FORK]],
      [['100']],
      [[7, 'DAYS']],
      [[11, 12]],
      [
        [11, '5', '9', '40'],
        [12, '5', oldest, altered],
      ],
    ];
    const again = (version: string, oldest: string, altered = '42'): SqlServerAnswer => [
      [['7', FORK, FORK, version, 7, 'DAYS', 2, '10', oldest, altered]],
    ];
    const { source: read, pool } = source({
      lookAtSource: [look('9'), look('20'), look('20', '3')],
      repeatLook: [again('101', '18'), again('102', '29'), again('103', '29'), again('104', '29', '43'), [[]]],
    });
    const tables = ['dbo.stock', 'dbo.item'];
    await read.state(tables);
    const second = await read.state(['dbo.stock']);
    expect([second.currentVersion, second.retentionMs]).toEqual([101n, 7 * 86_400_000]);
    expect(second.tables.get('dbo.item')).toMatchObject({ objectId: '12', minValidVersion: 9n });

    expect((await read.state(tables)).tables.get('dbo.item')?.minValidVersion).toBe(20n);
    await read.state(tables);
    expect((await read.state(tables)).tables.get('dbo.item')?.definition).toBe('3');
    await read.state(tables);
    expect(pool.names).toEqual([
      'lookAtSource',
      'repeatLook',
      'repeatLook',
      'lookAtSource',
      'repeatLook',
      'repeatLook',
      'lookAtSource',
      'repeatLook',
      'lookAtSource',
    ]);
  });

  it('looks whole each time where a restore could not be seen, or a table is not among what it knows', async () => {
    const unseen: SqlServerAnswer = [[['7', null, null]], [['100']], [[7, 'DAYS']], [[11]], [[11, '5', '9', '40']]];
    const blind = source({ lookAtSource: [unseen] });
    await blind.source.state(['dbo.stock']);
    await blind.source.state(['dbo.stock']);
    expect(blind.pool.names).toEqual(['lookAtSource', 'lookAtSource']);

    const seen: SqlServerAnswer = [[['7', FORK, FORK]], [['100']], [[7, 'DAYS']], [[11]], [[11, '5', '9', '40']]];
    const both: SqlServerAnswer = [...seen.slice(0, 3), [[11, null]], [[11, '5', '9', '40']]];
    const other = source({ lookAtSource: [seen, both] });
    await other.source.state(['dbo.stock']);
    expect([...(await other.source.state(['dbo.gone'])).tables.keys()]).toEqual(['dbo.gone', 'dbo.stock']);
    expect(other.pool.names).toEqual(['lookAtSource', 'lookAtSource']);
  });

  it('says that tracking is off, or that the bookkeeping is missing, instead of inventing a version or an epoch', async () => {
    const off = source({ lookAtSource: [[[['7']], [[null]], [], [[11]], []]] });
    await expect(off.source.state(['dbo.stock'])).rejects.toThrow(ChangeTrackingOffError);
    const bare = source({ lookAtSource: [[[], [['1']], [], [[11]], []]] });
    await expect(bare.source.state(['dbo.stock'])).rejects.toThrow(SqlServerBookkeepingError);
    const missing = source({ lookAtSource: [serverError(208, "Invalid object name 'smartpulse.cdc_epoch'.")] });
    await expect(missing.source.state(['dbo.stock'])).rejects.toThrow(/npx smartpulse-cdc enable/);
  });

  it('gives another hash to a column that was dropped and added again', async () => {
    const again = COLUMNS.map((column) => (column[1] === 'note' ? [9, ...column.slice(1)] : column));
    const { source: read } = source({ describeTable: [DESCRIBED, DESCRIBED, described([3, again])] });
    const hashes = [];
    for (let look = 0; look < 3; look++) {
      hashes.push((await read.describe('dbo.stock')).schemaHash);
    }

    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  it('takes an answer that it cannot read for an accident at first only, and a name that is none for somebody to mend', async () => {
    const { source: read } = source({ describeTable: [described([4, [[77, false]]])] });
    const odd: unknown = await read.describe('dbo.stock').catch((thrown: unknown) => thrown);
    expect(odd).toBeInstanceOf(SqlServerAnswerError);
    expect(read.failureOf(odd)).toBe('unrecognised');
    const name: unknown = await read.describe('stock').catch((thrown: unknown) => thrown);
    expect(read.failureOf(name)).toBe('configuration');
  });

  it('reads only the columns that are named, and the key', async () => {
    const columns = { 'dbo.stock': ['note'] };
    const { source: read } = source({}, { columns });
    expect((await read.describe('dbo.stock')).columns).toEqual(['id', 'note']);
    const wrong = source({}, { columns: { 'dbo.stock': ['nothing'] } });
    const error: unknown = await wrong.source.describe('dbo.stock').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ColumnNotFoundError);
    expect(String(error)).toMatch(/no column "nothing", .* "id", "price", "at", "note"/);
    expect(wrong.source.failureOf(error)).toBe('configuration');
  });
});
