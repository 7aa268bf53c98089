import { Logger } from '@nestjs/common';
import type { ChangeCursor, Row } from '@smartpulse/cdc';
import { examineSqlServer } from '@smartpulse/cdc/sql-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StartStock, StockDatabase } from './stock-database.js';

const { signal } = new AbortController();

/** Keys that differ in what a driver's number or date would lose, in the server's order. */
const KEYS: readonly (readonly [type: string, literals: readonly string[], texts: readonly unknown[]])[] = [
  [
    'bigint',
    ['-9223372036854775808', '9007199254740993', '9223372036854775807'],
    [-9_223_372_036_854_775_808n, 9_007_199_254_740_993n, 9_223_372_036_854_775_807n],
  ],
  [
    'decimal(38,10)',
    ["'-0.0000000001'", "'1234567890123456789012345678.0123456789'", "'1234567890123456789012345678.0123456790'"],
    ['-0.0000000001', '1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456790'],
  ],
  [
    'money',
    ["'-922337203685477.5808'", "'0.0001'", "'922337203685477.5807'"],
    ['-922337203685477.5808', '0.0001', '922337203685477.5807'],
  ],
  [
    'datetime2(7)',
    ["'2026-11-27 20:31:05.1234567'", "'2026-11-27 20:31:05.1234568'", "'2026-11-27 20:31:05.1240000'"],
    ['2026-11-27T20:31:05.1234567Z', '2026-11-27T20:31:05.1234568Z', '2026-11-27T20:31:05.124Z'],
  ],
  [
    'datetimeoffset(7)',
    [
      "'2026-11-27 20:31:05.0000001 +03:00'",
      "'2026-11-27 20:31:05.0000001 +00:00'",
      "'2026-11-27 16:00:00.0000000 -05:00'",
    ],
    ['2026-11-27T17:31:05.0000001Z', '2026-11-27T20:31:05.0000001Z', '2026-11-27T21:00:00.000Z'],
  ],
  // The last six bytes decide first.
  [
    'uniqueidentifier',
    [
      "'FFFFFFFF-0000-0000-0000-000000000001'",
      "'00000000-0000-0000-0000-000000000002'",
      "'01000000-0000-0000-0000-010000000000'",
    ],
    [
      'FFFFFFFF-0000-0000-0000-000000000001',
      '00000000-0000-0000-0000-000000000002',
      '01000000-0000-0000-0000-010000000000',
    ],
  ],
  [
    'varbinary(8)',
    ['0x00FF', '0x7F', '0xFF00FF'],
    [new Uint8Array([0, 255]), new Uint8Array([127]), new Uint8Array([255, 0, 255])],
  ],
  ['date', ["'0001-01-01'", "'2026-02-28'", "'9999-12-31'"], ['0001-01-01', '2026-02-28', '9999-12-31']],
  [
    'time(7)',
    ["'00:00:00.0000001'", "'20:31:05.1234567'", "'23:59:59.9999999'"],
    ['00:00:00.0000001', '20:31:05.1234567', '23:59:59.9999999'],
  ],
  ['varchar(20)', ["'a'", "'b]'", "'c'''"], ['a', 'b]', "c'"]],
];

const plain = (value: unknown): unknown => (value instanceof Uint8Array ? [...value] : value);

/** That nothing is lost of any value on its way. */
export function exactValuesSuite(start: StartStock): void {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

  let shop: StockDatabase | undefined;

  afterEach(async () => {
    await shop?.stop();
    shop = undefined;
  });

  async function tableWith(...columns: readonly string[]) {
    const server = await start({
      tables: [
        `CREATE TABLE dbo.typed (${columns.join(', ')})`,
        'ALTER TABLE dbo.typed ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)',
      ],
    });
    shop = server;
    return { app: server.app, source: server.replica().source };
  }

  describe('values of SQL Server', () => {
    it.each(KEYS)(
      'come as they are, and in pages and chunks of one row, where the key is a %s',
      async (type, literals, texts) => {
        const { app, source } = await tableWith(`id ${type} NOT NULL PRIMARY KEY`, 'level int NOT NULL');
        await app.query(
          `INSERT INTO dbo.typed (id, level) VALUES ${literals
            .toReversed()
            .map((id) => `(${id}, 1)`)
            .join(', ')}`,
        );
        const keys: unknown[] = [];
        for (let cursor: ChangeCursor | null = null; keys.length < 10;) {
          const page = await source.readPage({ table: 'dbo.typed', after: 0n, cursor, limit: 1, signal });
          const [change] = page.changes;
          cursor = page.cursors[0] ?? null;
          if (change === undefined) {
            break;
          }
          expect(change.row?.['id']).toEqual(change.primaryKey['id']);
          keys.push(change.primaryKey['id']);
        }
        expect(keys.map(plain)).toEqual(texts.map(plain));

        const rows: Row[] = [];
        for (let afterKey: string | null = null; rows.length < 10;) {
          const chunk = await source.readChunk({ table: 'dbo.typed', afterKey, limit: 1, signal });
          rows.push(...chunk.rows.map(({ row }) => row ?? {}));
          afterKey = chunk.lastKey;
          if (afterKey === null) {
            break;
          }
        }
        expect(rows.map(({ id }) => plain(id))).toEqual(texts.map(plain));

        await app.query(`DELETE FROM dbo.typed WHERE id = ${literals[1] ?? ''}`);
        const { changes } = await source.readPage({ table: 'dbo.typed', after: 1n, cursor: null, limit: 10, signal });
        expect(changes.map(({ operation, primaryKey }) => [operation, plain(primaryKey['id'])])).toEqual([
          ['delete', plain(texts[1])],
        ]);
      },
    );

    it.each([
      ['Latin1_General_100_CI_AS', ['upsert Blue', 'delete blue'], ['keyIgnoresCase']],
      ['Latin1_General_100_BIN2', ['delete blue', 'upsert Blue', 'delete Blue'], []],
    ] as const)(
      'of a key of text that was written anew in another case are one key or two by the collation %s, and the doctor says where they are one',
      async (collation, told, codes) => {
        const { app, source } = await tableWith(
          `id nvarchar(20) COLLATE ${collation} NOT NULL PRIMARY KEY`,
          'level int NOT NULL',
        );
        await app.query("INSERT INTO dbo.typed VALUES (N'blue', 1)");
        const heard: string[] = [];
        for (const write of ["UPDATE dbo.typed SET id = N'Blue'", 'DELETE FROM dbo.typed']) {
          const { currentVersion } = await source.state(['dbo.typed']);
          await app.query(write);
          const page = { table: 'dbo.typed', after: currentVersion, cursor: null, limit: 10, signal };
          const { changes } = await source.readPage(page);
          const order = changes.toSorted((a, b) => a.operation.localeCompare(b.operation));
          heard.push(...order.map(({ operation, primaryKey }) => `${operation} ${String(primaryKey['id'])}`));
        }
        expect(heard).toEqual(told);

        const pool = shop?.pool();
        const findings = pool === undefined ? [] : await examineSqlServer(pool, ['dbo.typed']);
        await pool?.close();
        const ofTable = findings.filter(({ subject }) => subject === 'dbo.typed');
        expect(ofTable.map(({ code }) => code)).toEqual(codes);
      },
    );

    it('tell which columns changed, by their ids of now', async () => {
      const { app, source } = await tableWith(
        'id int NOT NULL PRIMARY KEY',
        'level int NOT NULL',
        'note nvarchar(20) NULL',
        'flag bit NOT NULL',
      );
      await app.query("INSERT INTO dbo.typed VALUES (1, 1, NULL, 0), (2, 1, N'ü', 1)");
      const { upperVersion } = await source.readPage({
        table: 'dbo.typed',
        after: 0n,
        cursor: null,
        limit: 10,
        signal,
      });
      await app.query('UPDATE dbo.typed SET flag = 1, level = 2 WHERE id = 1');
      const { changes } = await source.readPage({
        table: 'dbo.typed',
        after: upperVersion,
        cursor: null,
        limit: 10,
        signal,
      });

      expect(changes).toMatchObject([
        { row: { id: 1, level: 2, note: null, flag: true }, changedColumns: ['level', 'flag'] },
      ]);
    });
  });
}
