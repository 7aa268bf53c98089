import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { PrimaryKey, Row } from '../change/row-change.js';
import type { ChangeSource } from '../source/change.source.js';
import { chunk, everything, readPage, scan, stateOf } from './change-source.reading.js';

/** A table of the suite with one key: `id` (integer of 64 bits), `level` (integer), `note` (text or null). */
export const STOCK_TABLE = 'dbo.stock';
/** A table of the suite with a key of two columns, in this order: `region` (text), `number` (integer); and `amount` (integer). */
export const ENTRY_TABLE = 'dbo.entry';

/** What a transaction of the suite does. */
export interface ContractTransaction {
  readonly upsert: (table: string, row: Row) => void | Promise<void>;
  readonly delete: (table: string, primaryKey: PrimaryKey) => void | Promise<void>;
  /** Gives a row another primary key, in one statement where the source has such. */
  readonly rekey: (table: string, primaryKey: PrimaryKey, to: PrimaryKey) => void | Promise<void>;
}

/** A source with the two tables of the suite, tracked and empty, and a way to write to it. */
export interface ChangeSourceHarness {
  readonly source: ChangeSource;
  /** One transaction; rolled back when `work` rejects, and then rejects, too. */
  readonly commit: (work: (transaction: ContractTransaction) => void | Promise<void>) => Promise<void>;
  /** A transaction that undoes the second part by a savepoint. Left out: the source has none. */
  readonly commitWithSavepoint?: (
    kept: (transaction: ContractTransaction) => void | Promise<void>,
    undone: (transaction: ContractTransaction) => void | Promise<void>,
  ) => Promise<void>;
  /** Writes under a change context. Left out: the source tells no origin. */
  readonly commitAs?: (
    origin: string,
    work: (transaction: ContractTransaction) => void | Promise<void>,
  ) => Promise<void>;
  /** Forgets all changes up to now. */
  readonly cleanUp: () => Promise<void>;
  /** Empties a table without telling a change. */
  readonly truncate: (table: string) => Promise<void>;
  /** Ends tracking of a table. Left out: it cannot be ended. */
  readonly disable?: (table: string) => Promise<void>;
  /** Begins to track again. */
  readonly enable?: (table: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * What every {@link ChangeSource} promises, as data.
 *
 * @param create makes a fresh harness for each case.
 * @param capabilities of the source, for the cases that need one; what is left out is skipped with its reason. `paddedText`: keys that
 * differ in blanks at their end are one key, as SQL compares text. `cleanUp`: unless `false`, the harness can bring it about.
 * @example
 * ```ts
 * runContract({ describe, it }, 'ChangeSource: mine', changeSourceContract(() => createMine(), { savepoints: true }));
 * ```
 */
export function changeSourceContract(
  create: () => Promise<ChangeSourceHarness> | ChangeSourceHarness,
  capabilities: {
    readonly savepoints?: boolean;
    readonly origins?: boolean;
    readonly reenable?: boolean;
    readonly paddedText?: boolean;
    readonly cleanUp?: boolean;
  } = {},
): readonly ContractCase[] {
  const one = (
    title: string,
    check: (harness: ChangeSourceHarness) => Promise<void>,
    skip?: string | false,
  ): ContractCase => ({
    title,
    run: async () => {
      const harness = await create();
      try {
        await check(harness);
      } finally {
        await harness.close();
      }
    },
    ...(typeof skip === 'string' ? { skip } : {}),
  });

  return [
    one('folds all changes of a row into its latest state and version', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(2n, 1)));
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 2)));
      const { changes, upperVersion } = await everything(source, STOCK_TABLE, 0n, 10);
      assert.deepEqual(
        changes.map(({ primaryKey, row, operation }) => [Number(primaryKey['id']), row?.['level'], operation]),
        [
          [2, 1, 'upsert'],
          [1, 2, 'upsert'],
        ],
      );
      assert.equal(changes.at(-1)?.version.version, upperVersion);
    }),
    one('gives one version to all rows of a transaction, also over two tables', async ({ source, commit }) => {
      await commit(async (tx) => {
        await tx.upsert(STOCK_TABLE, stock(1n, 1));
        await tx.upsert(ENTRY_TABLE, entry('north', 1));
        await tx.upsert(STOCK_TABLE, stock(2n, 1));
      });
      const { currentVersion, epoch } = await source.state([]);
      const versions = [
        ...(await everything(source, STOCK_TABLE, 0n, 10)).changes,
        ...(await everything(source, ENTRY_TABLE, 0n, 10)).changes,
      ].map(({ version }) => version);
      assert.deepEqual(
        versions,
        Array.from({ length: 3 }, () => ({ epoch, version: currentVersion })),
      );
    }),
    one('shows nothing of a rolled-back transaction and takes no version for it', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      const before = await source.state([]);
      await assert.rejects(
        commit(async (tx) => {
          await tx.upsert(STOCK_TABLE, stock(1n, 9));
          await tx.upsert(STOCK_TABLE, stock(2n, 9));
          throw new Error('planned');
        }),
        /planned/,
      );
      assert.equal((await source.state([])).currentVersion, before.currentVersion);
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(3n, 1)));
      assert.deepEqual(
        (await everything(source, STOCK_TABLE, 0n, 10)).changes.map(({ row }) => [Number(row?.['id']), row?.['level']]),
        [
          [1, 1],
          [3, 1],
        ],
      );
    }),
    one(
      'shows nothing of what a savepoint took back, and the rest under one version',
      async ({ source, commitWithSavepoint }) => {
        assert.ok(commitWithSavepoint);
        const before = (await source.state([])).currentVersion;
        await commitWithSavepoint(
          (tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)),
          (tx) => tx.upsert(ENTRY_TABLE, entry('north', 1)),
        );
        assert.equal((await source.state([])).currentVersion, before + 1n);
        assert.equal((await everything(source, STOCK_TABLE, before, 10)).changes.length, 1);
        assert.equal((await everything(source, ENTRY_TABLE, before, 10)).changes.length, 0);
        // Nothing is left of the transaction, so it was none.
        await commitWithSavepoint(
          () => undefined,
          (tx) => tx.upsert(STOCK_TABLE, stock(7n, 1)),
        );
        assert.equal((await source.state([])).currentVersion, before + 1n);
      },
      capabilities.savepoints !== true && 'the source has no savepoints',
    ),
    one('tells a new primary key as a delete of the old one and an upsert of the new', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 5)));
      const after = (await source.state([])).currentVersion;
      await commit((tx) => tx.rekey(STOCK_TABLE, { id: 1n }, { id: 2n }));
      const { changes } = await everything(source, STOCK_TABLE, after, 10);
      assert.deepEqual(
        changes
          .map(({ primaryKey, operation, row }) => [Number(primaryKey['id']), operation, row?.['level'] ?? null])
          .sort(([a], [b]) => Number(a) - Number(b)),
        [
          [1, 'delete', null],
          [2, 'upsert', 5],
        ],
      );
    }),
    one('tells a delete and an insert of one key in a transaction as an upsert', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      const after = (await source.state([])).currentVersion;
      await commit(async (tx) => {
        await tx.delete(STOCK_TABLE, { id: 1n });
        await tx.upsert(STOCK_TABLE, stock(1n, 2));
      });
      const { changes } = await everything(source, STOCK_TABLE, after, 10);
      assert.deepEqual(
        changes.map(({ operation, row, changedColumns }) => [operation, row?.['level'], changedColumns]),
        [['upsert', 2, null]],
      );
    }),
    one(
      'tells a delete without a row, also of a row that was inserted after the position',
      async ({ source, commit }) => {
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
        await commit((tx) => tx.delete(STOCK_TABLE, { id: 1n }));
        const { changes } = await everything(source, STOCK_TABLE, 0n, 10);
        assert.deepEqual(
          changes.map(({ operation, row, primaryKey }) => [operation, row, Number(primaryKey['id'])]),
          [['delete', null, 1]],
        );
      },
    ),
    one('counts a write that changes no value as a change', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      const after = (await source.state([])).currentVersion;
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      assert.equal((await source.state([])).currentVersion, after + 1n);
      assert.equal((await everything(source, STOCK_TABLE, after, 10)).changes.length, 1);
    }),
    one('tells nothing of a delete that finds no row', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      const after = (await source.state([])).currentVersion;
      await commit((tx) => tx.delete(STOCK_TABLE, { id: 2n }));
      assert.deepEqual((await everything(source, STOCK_TABLE, after, 10)).changes, []);
    }),
    one('cuts a transaction into pages without losing or repeating a row', async ({ source, commit }) => {
      await commit(async (tx) => {
        for (let id = 1n; id <= 23n; id++) {
          await tx.upsert(STOCK_TABLE, stock(id, 1));
        }
      });
      for (const limit of [1, 2, 5, 22, 23, 24]) {
        const { changes, pages } = await everything(source, STOCK_TABLE, 0n, limit);
        assert.equal(new Set(changes.map(({ primaryKey }) => primaryKey['id'])).size, 23, `limit ${limit}`);
        assert.equal(changes.length, 23, `limit ${limit}`);
        assert.ok(pages >= Math.ceil(23 / limit));
      }
    }),
    one('loses nothing to writers that commit between the pages', async ({ source, commit }) => {
      const table = new Map<number, number>();
      const write = async (ids: readonly number[], level: number): Promise<void> => {
        await commit(async (tx) => {
          for (const id of ids) {
            if (level % 5 === 4) {
              await tx.delete(STOCK_TABLE, { id: BigInt(id) });
              table.delete(id);
            } else {
              await tx.upsert(STOCK_TABLE, stock(BigInt(id), level));
              table.set(id, level);
            }
          }
        });
      };
      await write([1, 2, 3, 4, 5, 6, 7, 8, 9], 0);
      const read = new Map<number, number>();
      let step = 0;
      const seen = await everything(source, STOCK_TABLE, 0n, 2, async (changes) => {
        for (const { operation, primaryKey, row } of changes) {
          if (operation === 'delete' || row === null) {
            read.delete(Number(primaryKey['id']));
          } else {
            read.set(Number(primaryKey['id']), Number(row['level']));
          }
        }
        step += 1;
        if (step <= 12) {
          // Rows before, at and after the cursor, some of them several at once.
          await write([(step * 7) % 10, (step * 3) % 10, step % 4], step);
        }
      });
      assert.deepEqual([...read].sort(byKey), [...table].sort(byKey));
      assert.equal(seen.upperVersion, (await source.state([])).currentVersion);
    }),
    one('answers an empty page with the version of its snapshot where nothing changed', async ({ source, commit }) => {
      await commit((tx) => tx.upsert(ENTRY_TABLE, entry('north', 1)));
      const { currentVersion } = await source.state([]);
      const page = await readPage(source, STOCK_TABLE, currentVersion, null, 10);
      assert.deepEqual([page.changes, page.cursors, page.upperVersion], [[], [], currentVersion]);
      const ahead = await readPage(source, STOCK_TABLE, currentVersion + 1_000n, null, 10);
      assert.deepEqual([ahead.changes, ahead.upperVersion], [[], currentVersion]);
    }),
    one(
      'says which positions clean-up has overtaken',
      async ({ source, commit, cleanUp }) => {
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
        const position = (await stateOf(source, STOCK_TABLE)).minValidVersion;
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(2n, 1)));
        const before = await stateOf(source, STOCK_TABLE);
        await cleanUp();
        const after = await stateOf(source, STOCK_TABLE);
        const { currentVersion } = await source.state([]);
        assert.ok(after.minValidVersion > position);
        assert.equal(after.minValidVersion, currentVersion);
        assert.equal(after.beginVersion, before.beginVersion);
        assert.equal(after.objectId, before.objectId);
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(3n, 1)));
        const page = await readPage(source, STOCK_TABLE, currentVersion, null, 10);
        assert.equal(page.changes.length, 1);
        assert.equal(page.state.minValidVersion, currentVersion);
      },
      capabilities.cleanUp === false && 'nobody can bring clean-up about here',
    ),
    one('moves the beginning of a truncated table, also for a reader that had caught up', async (harness) => {
      const { source, commit, truncate } = harness;
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
      const before = await stateOf(source, STOCK_TABLE);
      const other = await stateOf(source, ENTRY_TABLE);
      await truncate(STOCK_TABLE);
      const after = await stateOf(source, STOCK_TABLE);
      assert.ok(after.beginVersion > before.beginVersion);
      assert.ok(after.minValidVersion >= after.beginVersion);
      assert.deepEqual(await stateOf(source, ENTRY_TABLE), other);
      assert.deepEqual((await source.readChunk(chunk(STOCK_TABLE, null, 10))).rows, []);
      await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 7)));
      const { changes } = await everything(source, STOCK_TABLE, after.minValidVersion, 10);
      assert.deepEqual(
        changes.map(({ row }) => row?.['level']),
        [7],
      );
    }),
    one(
      'answers no state while tracking is off, and another beginning once it is on again',
      async ({ source, commit, disable, enable }) => {
        assert.ok(disable !== undefined && enable !== undefined);
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
        const before = await stateOf(source, STOCK_TABLE);
        await disable(STOCK_TABLE);
        assert.equal((await source.state([STOCK_TABLE])).tables.get(STOCK_TABLE), null);
        await assert.rejects(readPage(source, STOCK_TABLE, 0n, null, 10), coded('SMARTPULSE_CDC_TABLE_NOT_TRACKED'));
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(2n, 1)));
        await enable(STOCK_TABLE);
        const after = await stateOf(source, STOCK_TABLE);
        assert.ok(after.beginVersion > before.beginVersion);
        assert.equal(after.minValidVersion, after.beginVersion);
        assert.equal((await source.readChunk(chunk(STOCK_TABLE, null, 10))).rows.length, 2);
      },
      capabilities.reenable !== true && 'tracking cannot be ended here',
    ),
    one('reads chunks in the order of the key, every row once', async ({ source, commit }) => {
      await commit(async (tx) => {
        for (let id = 1n; id <= 11n; id++) {
          await tx.upsert(STOCK_TABLE, stock((id * 7n) % 12n, Number(id)));
        }
      });
      for (const limit of [1, 3, 11, 12]) {
        const ids = (await scan(source, STOCK_TABLE, limit)).map(({ primaryKey }) => Number(primaryKey['id']));
        assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], `limit ${limit}`);
      }
    }),
    one('keeps keys of several columns apart, whatever text is in them', async ({ source, commit }) => {
      const texts = ODD_TEXTS.filter((text) => capabilities.paddedText !== true || text !== ' ');
      const keys = texts.flatMap((region) => [10, 9, -1, 0].map((number) => entry(region, number)));
      await commit(async (tx) => {
        for (const row of keys) {
          await tx.upsert(ENTRY_TABLE, row);
        }
      });
      const expected = new Set(keys.map(keyOf));
      for (const limit of [1, 7, keys.length]) {
        const scanned = await scan(source, ENTRY_TABLE, limit);
        assert.equal(scanned.length, keys.length);
        assert.deepEqual(new Set(scanned.map(({ primaryKey }) => keyOf(primaryKey))), expected);
        const { changes } = await everything(source, ENTRY_TABLE, 0n, limit);
        assert.equal(changes.length, keys.length);
        assert.deepEqual(new Set(changes.map(({ primaryKey }) => keyOf(primaryKey))), expected);
        assert.ok(changes.every(({ primaryKey, row }) => row !== null && keyOf(row) === keyOf(primaryKey)));
        assert.deepEqual(Object.keys(changes[0]?.primaryKey ?? {}), ['region', 'number']);
      }
      await commit((tx) => tx.delete(ENTRY_TABLE, { region: '', number: 0 }));
      assert.equal((await scan(source, ENTRY_TABLE, 5)).length, keys.length - 1);
    }),
    one('carries integers beyond 2^53 without loss, in keys, rows and positions', async ({ source, commit }) => {
      const ids = [9_007_199_254_740_993n, 9_007_199_254_740_995n, 9_223_372_036_854_775_807n];
      await commit(async (tx) => {
        for (const id of ids) {
          await tx.upsert(STOCK_TABLE, stock(id, 1));
        }
      });
      const { changes } = await everything(source, STOCK_TABLE, 0n, 1);
      assert.deepEqual(changes.map(({ primaryKey }) => primaryKey['id']).sort(bySize), ids);
      assert.deepEqual(changes.map(({ row }) => row?.['id']).sort(bySize), ids);
      assert.deepEqual(
        (await scan(source, STOCK_TABLE, 1)).map(({ primaryKey }) => primaryKey['id']),
        ids,
      );
    }),
    one(
      'says who wrote, where the writer says so',
      async ({ source, commit, commitAs }) => {
        assert.ok(commitAs);
        await commit((tx) => tx.upsert(STOCK_TABLE, stock(1n, 1)));
        await commitAs('importer', (tx) => tx.upsert(STOCK_TABLE, stock(2n, 1)));
        const { changes } = await everything(source, STOCK_TABLE, 0n, 10);
        assert.deepEqual(
          changes.map(({ origin }) => origin),
          [null, 'importer'],
        );
      },
      capabilities.origins !== true && 'the source tells no origin',
    ),
    one('describes a table: its key in order, its columns, and the same hash each time', async ({ source }) => {
      const description = await source.describe(ENTRY_TABLE);
      assert.deepEqual(
        [description.table, description.primaryKey, [...description.columns].sort()],
        [ENTRY_TABLE, ['region', 'number'], ['amount', 'number', 'region']],
      );
      assert.equal((await source.describe(ENTRY_TABLE)).schemaHash, description.schemaHash);
      assert.notEqual((await source.describe(STOCK_TABLE)).schemaHash, description.schemaHash);
    }),
    one(
      'raises the epoch once for all who saw it, and takes over what a copy elsewhere has decided',
      async ({ source }) => {
        const { epoch } = await source.state([]);
        const raised = await Promise.all([source.raiseEpoch(epoch), source.raiseEpoch(epoch)]);
        const [next] = raised;
        assert.ok(next > epoch);
        assert.deepEqual(raised, [next, next]);
        assert.deepEqual(
          await Promise.all([source.raiseEpoch(epoch, next + 7n), source.raiseEpoch(epoch, next + 7n)]),
          [next + 7n, next + 7n],
        );
        assert.equal(await source.raiseEpoch(epoch, next), next + 7n);
        assert.equal((await source.state([])).epoch, next + 7n);
      },
    ),
    one('refuses a table that is not there by an error that names it, and has no state of it', async ({ source }) => {
      const notThere = coded('SMARTPULSE_CDC_TABLE_NOT_FOUND', 'SMARTPULSE_CDC_TABLE_NOT_TRACKED');
      await assert.rejects(source.describe('dbo.nowhere'), notThere);
      await assert.rejects(readPage(source, 'dbo.nowhere', 0n, null, 10), notThere);
      await assert.rejects(source.readChunk(chunk('dbo.nowhere', null, 10)), notThere);
      assert.equal((await source.state([STOCK_TABLE, 'dbo.nowhere'])).tables.get('dbo.nowhere') ?? null, null);
    }),
  ];
}

const ODD_TEXTS = [
  '',
  ' ',
  'a',
  'A',
  'ä',
  'Z',
  'zz',
  '1',
  '10',
  '9',
  ',',
  '"',
  '\\',
  "'",
  'a,b',
  '","',
  '\u{1F32C}',
  '\uFFFD',
  'null',
  'x"00"',
  '%_',
];

const stock = (id: bigint, level: number): Row => ({ id: small(id), level, note: null });
const entry = (region: string, number: number): Row => ({ region, number, amount: 1 });
const keyOf = (row: Row): string => JSON.stringify([row['region'], row['number']]);
const small = (id: bigint): bigint | number => (id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : id);
const byKey = ([a]: [number, number], [b]: [number, number]): number => a - b;
const bySize = (a: unknown, b: unknown): number =>
  String(a).length - String(b).length || String(a).localeCompare(String(b));

function coded(...codes: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error && 'code' in error && codes.includes(String(error.code)) && error.message.includes('dbo.');
}
