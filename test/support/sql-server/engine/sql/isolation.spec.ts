import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SqlSession } from '../../seam.js';
import { ask, rowsOf, type SessionAnswer } from '../direct/ask.js';
import { SqlServerEngine } from '../sql-server.engine.js';

const SCRIPT = `
ALTER DATABASE app SET CHANGE_TRACKING = ON;
CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, n int NOT NULL);
ALTER TABLE dbo.t ENABLE CHANGE_TRACKING;
INSERT INTO dbo.t VALUES (1, 10), (2, 20), (3, 30);`;
const ALL = 'SELECT id, n FROM dbo.t ORDER BY id';
const SNAPSHOT = 'SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN;';

async function setUp({ snapshot = true } = {}) {
  const clock = new VirtualClock();
  const engine = new SqlServerEngine({ clock, random: new SeededRandom(5) });
  const database = engine.createDatabase('app');
  database.allowSnapshotIsolation = snapshot;
  const open = (): Promise<SqlSession> =>
    engine.login({
      user: 'sa',
      password: '',
      database: 'app',
      application: 'spec',
      host: 'here',
      readOnlyIntent: false,
    });
  const [one, other] = [await open(), await open()];
  await ask(one, SCRIPT);
  return { clock, engine, database, one, other, open };
}

/** A request that must wait: it has not been answered while the others go on. */
function later(session: SqlSession, sql: string, signal?: AbortSignal) {
  const state: { answer?: SessionAnswer } = {};
  const answer = ask(session, sql, {}, signal).then((one) => {
    state.answer = one;
    return one;
  });
  return { answer, state };
}

describe('read committed', () => {
  it('waits for what is not committed, and reads what became of it', async () => {
    const { clock, engine, one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 11 WHERE id = 1');
    const { answer, state } = later(other, ALL);
    await clock.settle();
    expect([state.answer, engine.waitingSessions]).toEqual([undefined, 1]);
    await ask(one, 'COMMIT');
    expect((await answer).sets[0]?.rows[0]).toEqual([1n, 11n]);
    expect(engine.waitingSessions).toBe(0);
  });

  it('goes straight to a key that nobody holds', async () => {
    const { one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 11 WHERE id = 1');
    expect(await rowsOf(other, 'SELECT n FROM dbo.t WHERE id = 2')).toEqual([[20n]]);
  });

  it('gives up after LOCK_TIMEOUT with 1222, and keeps its transaction', async () => {
    const { clock, one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; DELETE FROM dbo.t WHERE id = 1');
    expect((await ask(other, `SET LOCK_TIMEOUT 0; ${ALL}`)).errors[0]?.number).toBe(1222);
    const { answer } = later(other, `SET LOCK_TIMEOUT 500; BEGIN TRAN; ${ALL}`);
    await clock.advance(500);
    expect((await answer).errors[0]).toMatchObject({ number: 1222, class: 16 });
    expect(await rowsOf(other, 'SELECT @@TRANCOUNT')).toEqual([[1n]]);
  });

  it('reads dirty rows by NOLOCK, passes them by READPAST, and older ones when the database versions them', async () => {
    const { one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 11 WHERE id = 1');
    expect(await rowsOf(other, 'SELECT n FROM dbo.t WITH (NOLOCK) WHERE id = 1')).toEqual([[11n]]);
    expect(await rowsOf(other, 'SELECT COUNT(*) FROM dbo.t WITH (READPAST)')).toEqual([[2n]]);
    await ask(other, 'ALTER DATABASE app SET READ_COMMITTED_SNAPSHOT ON');
    expect(await rowsOf(other, 'SELECT n FROM dbo.t WHERE id = 1')).toEqual([[10n]]);
  });

  it('lets one of two add a row that is missing, under UPDLOCK and HOLDLOCK', async () => {
    const { clock, one, other } = await setUp();
    const add =
      'INSERT INTO dbo.t (id, n) SELECT 9, 9 WHERE NOT EXISTS (SELECT 1 FROM dbo.t WITH (UPDLOCK, HOLDLOCK) WHERE id = 9)';
    await ask(one, `BEGIN TRAN; ${add}`);
    const { answer, state } = later(other, add);
    await clock.settle();
    expect(state.answer).toBeUndefined();
    await ask(one, 'COMMIT');
    expect(await answer).toMatchObject({ errors: [], counts: [0] });
  });
});

describe('a deadlock', () => {
  it('ends one of its transactions with 1205, and the other goes on', async () => {
    const { clock, one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 1 WHERE id = 1');
    await ask(other, 'SET DEADLOCK_PRIORITY LOW; BEGIN TRAN; UPDATE dbo.t SET n = 2 WHERE id = 2');
    const first = later(one, 'UPDATE dbo.t SET n = 1 WHERE id = 2');
    await clock.settle();
    const second = later(other, 'UPDATE dbo.t SET n = 2 WHERE id = 1');
    expect((await second.answer).errors[0]).toMatchObject({ number: 1205, class: 13 });
    expect((await first.answer).errors).toEqual([]);
    expect(await rowsOf(other, 'SELECT @@TRANCOUNT')).toEqual([[0n]]);
    await ask(one, 'COMMIT');
    expect(await rowsOf(other, ALL)).toEqual([
      [1n, 1n],
      [2n, 1n],
      [3n, 30n],
    ]);
  });
});

describe('an attention', () => {
  it('ends a wait, says nothing more, and leaves nothing behind', async () => {
    const { clock, engine, one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 11 WHERE id = 1');
    const stop = new AbortController();
    const { answer } = later(other, 'UPDATE dbo.t SET n = n + 1', stop.signal);
    await clock.settle();
    stop.abort();
    expect((await answer).replies).toEqual([]);
    await ask(one, 'ROLLBACK');
    expect([engine.waitingSessions, await rowsOf(other, ALL)]).toEqual([
      0,
      [
        [1n, 10n],
        [2n, 20n],
        [3n, 30n],
      ],
    ]);
  });
});

describe('a snapshot', () => {
  it('begins with the first access to data, not with the counter', async () => {
    const { database, one } = await setUp();
    expect(await rowsOf(one, `${SNAPSHOT} SELECT CHANGE_TRACKING_CURRENT_VERSION()`)).toEqual([[1n]]);
    database.write((tx) => void tx.update('dbo.t', { id: 1 }, { n: 11 }));
    expect(await rowsOf(one, ALL)).toEqual([
      [1n, 11n],
      [2n, 20n],
      [3n, 30n],
    ]);
    database.write((tx) => void tx.update('dbo.t', { id: 1 }, { n: 12 }));
    expect(await rowsOf(one, `SELECT n, CHANGE_TRACKING_CURRENT_VERSION() FROM dbo.t WHERE id = 1`)).toEqual([
      [11n, 2n],
    ]);
    await ask(one, 'COMMIT');
    expect(await rowsOf(one, `SELECT n, CHANGE_TRACKING_CURRENT_VERSION() FROM dbo.t WHERE id = 1`)).toEqual([
      [12n, 3n],
    ]);
  });

  it('sees changes and rows of one moment, also when the clean-up comes in between', async () => {
    const { database, one } = await setUp();
    const changes =
      'SELECT ct.id, t.n FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct LEFT JOIN dbo.t AS t ON t.id = ct.id ORDER BY ct.id';
    const before = await rowsOf(one, `${SNAPSHOT} ${changes}`);
    database.write((tx) => void tx.delete('dbo.t', { id: 2 }));
    database.cleanUp();
    expect(await rowsOf(one, changes)).toEqual(before);
    await ask(one, 'COMMIT');
    expect(await rowsOf(one, changes)).toEqual([]);
  });

  it('waits for nobody', async () => {
    const { one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; DELETE FROM dbo.t');
    expect(await rowsOf(other, `${SNAPSHOT} ${ALL}`)).toHaveLength(3);
  });

  it.each(['UPDATE dbo.t SET n = 0 WHERE id = 1', 'DELETE FROM dbo.t WHERE id = 1'])(
    'ends with 3960 when it writes what another has committed: %s',
    async (statement) => {
      const { database, one } = await setUp();
      await ask(one, `${SNAPSHOT} ${ALL}`);
      database.write((tx) => void tx.update('dbo.t', { id: 1 }, { n: 11 }));
      const { errors } = await ask(one, statement);
      expect(errors.map(({ number }) => number)).toEqual([3960]);
      expect(await rowsOf(one, 'SELECT @@TRANCOUNT')).toEqual([[0n]]);
    },
  );

  it('waits for a writer first, and conflicts only when that commits', async () => {
    const { clock, one, other } = await setUp();
    await ask(one, 'BEGIN TRAN; UPDATE dbo.t SET n = 11 WHERE id = 1');
    await ask(other, `${SNAPSHOT} ${ALL}`);
    const { answer } = later(other, 'UPDATE dbo.t SET n = 12 WHERE id = 1');
    await clock.settle();
    await ask(one, 'ROLLBACK');
    expect((await answer).errors).toEqual([]);
  });

  it('is refused with 3952 at the first access, not before, where the database does not allow it', async () => {
    const { one } = await setUp({ snapshot: false });
    expect((await ask(one, `${SNAPSHOT} SELECT CHANGE_TRACKING_CURRENT_VERSION()`)).errors).toEqual([]);
    const { errors, replies } = await ask(one, ALL);
    expect(errors[0]?.number).toBe(3952);
    expect(replies.some((reply) => reply.kind === 'transaction' && reply.event === 'rolledBack')).toBe(true);
  });

  it('is refused with 3951 inside of a transaction that began under another level', async () => {
    const { one } = await setUp();
    const { errors } = await ask(one, `BEGIN TRAN; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; ${ALL}`);
    expect(errors[0]?.number).toBe(3951);
  });

  it.each(['TRUNCATE TABLE dbo.t', 'ALTER TABLE dbo.t ADD x int NULL', 'ALTER TABLE dbo.t DISABLE CHANGE_TRACKING'])(
    'ends with 3961 when metadata changes under it: %s',
    async (statement) => {
      const { one, other } = await setUp();
      await rowsOf(one, `${SNAPSHOT} SELECT COUNT(*) FROM dbo.t WHERE id = 9`);
      expect((await ask(other, statement)).errors).toEqual([]);
      expect((await ask(one, ALL)).errors[0]?.number).toBe(3961);
    },
  );

  it('stays the level of a session after its transaction, and after a reset', async () => {
    const { one } = await setUp({ snapshot: false });
    await ask(one, 'SET TRANSACTION ISOLATION LEVEL SNAPSHOT');
    one.reset();
    expect((await ask(one, ALL)).errors[0]?.number).toBe(3952);
  });

  it('loses no update, whatever the order in which sessions read and write', async () => {
    const turns = fc.array(fc.tuple(fc.nat(2), fc.constantFrom('read', 'write', 'commit')), { maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(turns, async (steps) => {
        const { open, database } = await setUp();
        const sessions = await Promise.all([open(), open(), open()]);
        for (const session of sessions) {
          await ask(session, 'SET LOCK_TIMEOUT 0; SET TRANSACTION ISOLATION LEVEL SNAPSHOT');
        }
        const seen: (bigint | undefined)[] = [undefined, undefined, undefined];
        const written = [0n, 0n, 0n];
        let committed = 0n;
        for (const [who, step] of steps) {
          const session = sessions[who] as SqlSession;
          if (step === 'read' && seen[who] === undefined) {
            await ask(session, 'BEGIN TRAN');
            const [[n] = []] = await rowsOf(session, 'SELECT n FROM dbo.t WHERE id = 1');
            seen[who] = n as bigint;
          } else if (step === 'write' && seen[who] !== undefined) {
            const value = seen[who] + (written[who] ?? 0n) + 1n;
            const { errors } = await ask(session, 'UPDATE dbo.t SET n = @n WHERE id = 1', { n: value });
            if (errors.length === 0) {
              written[who] = (written[who] ?? 0n) + 1n;
            } else if (errors[0]?.number === 3960) {
              [seen[who], written[who]] = [undefined, 0n];
            }
          } else if (step === 'commit' && seen[who] !== undefined) {
            await ask(session, 'COMMIT');
            committed += written[who] ?? 0n;
            [seen[who], written[who]] = [undefined, 0n];
          }
        }
        expect(database.rows('dbo.t').find(({ id }) => id === 1n)?.['n']).toBe(10n + committed);
      }),
      { numRuns: 60 },
    );
  });
});
