import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DirectTransaction } from '../direct/direct-transaction.js';
import { SqlServerEngine } from '../sql-server.engine.js';
import { INT, nvarchar, type ValueType } from '../values/value-type.js';
import { columnMask } from './column-mask.js';

type Step = (transaction: DirectTransaction) => void;

const insert =
  (id: number, name = 'x'): Step =>
  (tx) =>
    tx.insert('dbo.t', { id, name });
const update =
  (id: number, name: string): Step =>
  (tx) =>
    void tx.update('dbo.t', { id }, { name });
const remove =
  (id: number): Step =>
  (tx) =>
    void tx.delete('dbo.t', { id });
const rekey =
  (id: number, to: number): Step =>
  (tx) =>
    void tx.update('dbo.t', { id }, { id: to });

function setUp(tracking: 'rows' | 'columns' = 'columns', columns: Readonly<Record<string, ValueType>> = {}) {
  const clock = new VirtualClock();
  const database = new SqlServerEngine({ clock, random: new SeededRandom(1) }).createDatabase('app');
  database.track({ retention: { period: 2, unit: 'days' } });
  database.createTable({
    name: 'dbo.t',
    columns: { id: INT, name: nvarchar(20), note: nvarchar(20), ...columns },
    primaryKey: ['id'],
    tracking,
  });
  return { clock, database };
}

/** What a reader at `after` is told: `I1@3(3)` = insert of key 1 in version 3, created in 3. */
function told(database: ReturnType<typeof setUp>['database'], after: bigint): readonly string[] {
  return database
    .changes('dbo.t', after)
    .map(
      ({ operation, keyValues, version, creationVersion }) =>
        `${operation}${String(keyValues[0])}@${version}${creationVersion === null ? '' : `(${creationVersion})`}`,
    );
}

/** Each line: the transactions before the reader, those after it, and what the reader is told of them. */
const NET_CHANGES: readonly (readonly [string, readonly Step[][], readonly Step[][], readonly string[]])[] = [
  ['an insert', [], [[insert(1)]], ['I1@1(1)']],
  ['an insert and an update after it', [], [[insert(1)], [update(1, 'y')]], ['I1@2(1)']],
  ['an update of what was there', [[insert(1)]], [[update(1, 'y')]], ['U1@2']],
  ['a delete of what was there', [[insert(1)]], [[remove(1)]], ['D1@2']],
  ['an insert and a delete: still a delete', [], [[insert(1)], [remove(1)]], ['D1@2']],
  ['an insert and a delete in one transaction: still a delete', [], [[insert(1), remove(1)]], ['D1@1']],
  ['a delete and an insert of the same key: an update', [[insert(1)]], [[remove(1)], [insert(1)]], ['U1@3(3)']],
  ['the same in one transaction', [[insert(1)]], [[remove(1), insert(1)]], ['U1@2(2)']],
  ['an insert, a delete and an insert: an insert', [], [[insert(1)], [remove(1)], [insert(1)]], ['I1@3(3)']],
  [
    'a new key of a row: the old one deleted, the new one inserted',
    [[insert(1)]],
    [[rekey(1, 9)]],
    ['D1@2', 'I9@2(2)'],
  ],
  ['a key that is set to itself: an update with a creation version', [[insert(1)]], [[rekey(1, 1)]], ['U1@2(2)']],
  [
    'keys that all move up by one',
    [[insert(1), insert(2), insert(3)]],
    [[(tx) => tx.updateEach('dbo.t', ({ id }) => ({ id: (id as bigint) + 1n }))]],
    ['D1@2', 'U2@2(2)', 'U3@2(2)', 'I4@2(2)'],
  ],
  ['an update that changes nothing', [[insert(1, 'x')]], [[update(1, 'x')]], ['U1@2']],
  ['an update of no row: no version, too', [[insert(1)]], [[update(7, 'y')]], []],
  ['many rows of one transaction, all with its version', [], [[insert(1), insert(2)]], ['I1@1(1)', 'I2@1(1)']],
  [
    'what a savepoint undid: nothing',
    [[insert(1)]],
    [[(tx) => tx.save('s'), update(1, 'y'), (tx) => tx.rollbackTo('s')]],
    [],
  ],
];

describe('CHANGETABLE tells relative to its reader', () => {
  it.each(NET_CHANGES)('%s', (_title, before, after, expected) => {
    const { database } = setUp();
    const run = (transactions: readonly Step[][]): void =>
      transactions.forEach((steps) => database.write((tx) => steps.forEach((step) => step(tx))));
    run(before);
    const reader = database.version;
    run(after);
    expect(told(database, reader)).toEqual(expected);
  });

  it('tells an insert at 10 and an update at 15 as an insert from 8 and as an update from 12', () => {
    const { database } = setUp();
    database.jump(9n);
    database.write(insert(1));
    database.jump(4n);
    database.write(update(1, 'y'));
    expect([told(database, 8n), told(database, 12n)]).toEqual([['I1@15(10)'], ['U1@15']]);
  });

  it('tells all there is from 0 and nothing above the current version', () => {
    const { database } = setUp();
    database.write(insert(1));
    expect([told(database, 0n).length, told(database, 99n).length]).toEqual([1, 0]);
  });

  it('moves the counter once for each transaction, and not for one that is rolled back', () => {
    const { database } = setUp();
    database.write((tx) => [insert(1), insert(2), update(1, 'y')].forEach((step) => step(tx)));
    expect(() =>
      database.write((tx) => {
        insert(3)(tx);
        throw new Error('planned');
      }),
    ).toThrow('planned');
    expect(database.version).toBe(1n);
  });

  it('agrees with a log that is read row by row', () => {
    const steps = fc.array(
      fc.array(fc.tuple(fc.constantFrom('upsert', 'delete', 'rekey'), fc.nat(4), fc.nat(4)), {
        minLength: 1,
        maxLength: 4,
      }),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(steps, fc.nat(25), (transactions, reader) => {
        const { database } = setUp('rows');
        const existed: ReadonlySet<string>[] = [new Set()];
        const touched: ReadonlySet<string>[] = [new Set()];
        for (const operations of transactions) {
          const before = database.version;
          const keys = new Set<string>();
          database.write((tx) => {
            const there = new Set(database.rows('dbo.t').map(({ id }) => String(id)));
            for (const [kind, id, to] of operations) {
              if (kind === 'upsert') {
                tx.upsert('dbo.t', { id, name: `${to}` });
                there.add(`${id}`);
                keys.add(`${id}`);
              } else if (kind === 'delete' && tx.delete('dbo.t', { id })) {
                there.delete(`${id}`);
                keys.add(`${id}`);
              } else if (kind === 'rekey' && there.has(`${id}`) && !there.has(`${to}`)) {
                tx.update('dbo.t', { id }, { id: to });
                there.delete(`${id}`);
                there.add(`${to}`);
                keys.add(`${id}`).add(`${to}`);
              }
            }
          });
          if (database.version > before) {
            existed.push(new Set(database.rows('dbo.t').map(({ id }) => String(id))));
            touched.push(keys);
          }
        }
        const after = Math.min(reader, existed.length - 1);
        const expected = [...new Set(touched.slice(after + 1).flatMap((keys) => [...keys]))].map((key) => {
          const wasThere = existed[after]?.has(key) ?? false;
          const isThere = existed.at(-1)?.has(key) ?? false;
          const version = touched.findLastIndex((keys) => keys.has(key));
          return `${isThere ? (wasThere ? 'U' : 'I') : 'D'}${key}@${version}`;
        });
        const found = told(database, BigInt(after)).map((text) => text.replace(/\(\d+\)/, ''));
        expect(found.toSorted()).toEqual(expected.toSorted());
      }),
      { numRuns: 150 },
    );
  });
});

describe('the column mask', () => {
  const masks = (database: ReturnType<typeof setUp>['database'], after: bigint) =>
    database.changes('dbo.t', after).map(({ columns }) => columns);

  it.each<[string, 'rows' | 'columns', Step[], Uint8Array | null]>([
    ['names the columns that an update set', 'columns', [update(1, 'y')], columnMask([2])],
    [
      'is the union over several updates',
      'columns',
      [update(1, 'y'), (tx) => void tx.update('dbo.t', { id: 1 }, { note: 'n' })],
      columnMask([2, 3]),
    ],
    [
      'is unknown when one update set every column',
      'columns',
      [(tx) => void tx.update('dbo.t', { id: 1 }, { name: 'y', note: 'n' })],
      null,
    ],
    ['is unknown when the key came again', 'columns', [remove(1), insert(1)], null],
    ['is unknown when columns are not tracked', 'rows', [update(1, 'y')], null],
    ['is unknown of a delete', 'columns', [remove(1)], null],
  ])('%s', (_title, tracking, steps, expected) => {
    const { database } = setUp(tracking);
    database.write(insert(1));
    steps.forEach((step) => database.write(step));
    expect(masks(database, 1n)).toEqual([expected]);
  });

  it('is unknown of an insert', () => {
    const { database } = setUp();
    database.write(insert(1));
    database.write(update(1, 'y'));
    expect(masks(database, 0n)).toEqual([null]);
  });

  it('names a rowversion at every update', () => {
    const { database } = setUp('columns', { stamp: { name: 'rowversion', nullable: false } });
    database.write(insert(1));
    database.write(update(1, 'y'));
    expect(masks(database, 1n)).toEqual([columnMask([2, 4])]);
  });
});

describe('the context of a change', () => {
  it('is that of the last statement that touched the row', () => {
    const { database } = setUp();
    const context = Uint8Array.of(1, 2);
    database.write(insert(1), { context });
    expect(database.changes('dbo.t', 0n)[0]?.context).toEqual(context);
    database.write(update(1, 'y'));
    expect(database.changes('dbo.t', 0n)[0]?.context).toBeNull();
  });
});

describe('the versions of a table', () => {
  it('truncates without moving the counter: begin and least valid version become the current one', () => {
    const { database } = setUp();
    [insert(1), insert(2)].forEach((step) => database.write(step));
    database.truncate('dbo.t');
    expect([database.version, database.rows('dbo.t'), told(database, 0n)]).toEqual([2n, [], []]);
    expect(database.trackingOf('dbo.t')).toMatchObject({ beginVersion: 2n, minValidVersion: 2n });
  });

  it('keeps the counter when tracking goes off and on; the least valid version becomes the current one', () => {
    const { database } = setUp();
    [insert(1), insert(2)].forEach((step) => database.write(step));
    database.disable('dbo.t');
    database.write(insert(3));
    database.enable('dbo.t');
    expect(database.version).toBe(2n);
    expect(database.trackingOf('dbo.t')).toMatchObject({ beginVersion: 2n, minValidVersion: 2n });
  });

  it('cleans up what is older than the retention, and tables without changes with it', async () => {
    const { clock, database } = setUp();
    database.createTable({ name: 'dbo.idle', columns: { id: INT }, primaryKey: ['id'] });
    database.write(insert(1));
    await clock.advance(86_400_000);
    database.write(insert(2));
    expect(database.cleanUpExpired()).toBeUndefined();
    await clock.advance(86_400_001);
    expect(database.cleanUpExpired()).toBe(1n);
    expect([told(database, 0n), database.trackingOf('dbo.idle')?.minValidVersion]).toEqual([['I2@2(2)'], 1n]);
  });

  it('goes back with the database when a backup is restored', () => {
    const { database } = setUp();
    database.write(insert(1));
    const image = database.backup();
    database.write(insert(2));
    database.restore(image);
    expect([database.version, database.rows('dbo.t').length, told(database, 0n)]).toEqual([1n, 1, ['I1@1(1)']]);
    database.write(insert(3));
    expect(told(database, 1n)).toEqual(['I3@2(2)']);
  });

  it('keeps the first spelling of a key that is only rewritten in case', () => {
    const database = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(1) }).createDatabase(
      'app',
    );
    database.track();
    database.createTable({ name: 'dbo.t', columns: { id: nvarchar(9), name: nvarchar(9) }, primaryKey: ['id'] });
    database.write((tx) => tx.insert('dbo.t', { id: 'abc' }));
    database.write((tx) => void tx.update('dbo.t', { id: 'ABC' }, { id: 'ABC' }));
    expect(told(database, 1n)).toEqual(['Uabc@2(2)']);
    expect(database.rows('dbo.t')).toMatchObject([{ id: 'ABC' }]);
  });
});
