import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { ask, rowsOf } from '../direct/ask.js';
import { SqlServerEngine } from '../sql-server.engine.js';

async function setUp(seed = 5) {
  const engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(seed) });
  const database = engine.createDatabase('app');
  const session = await engine.login({
    user: 'sa',
    password: '',
    database: 'app',
    application: '',
    host: '',
    readOnlyIntent: false,
  });
  await ask(
    session,
    `ALTER DATABASE app SET CHANGE_TRACKING = ON; CREATE TABLE dbo.t (id int PRIMARY KEY);
    ALTER TABLE dbo.t ENABLE CHANGE_TRACKING; INSERT INTO dbo.t VALUES (1);`,
  );
  return { engine, database, session };
}

describe('a fault of the engine', () => {
  it('ends the n-th statement that matches with any error, and then no more', async () => {
    const { engine, session } = await setUp();
    engine.faults.failWith(40_501, 20, 'The service is busy.', { matches: /FROM dbo\.t/, skip: 1 });
    const numbers = [];
    for (let turn = 0; turn < 3; turn++) {
      numbers.push((await ask(session, 'SELECT id FROM dbo.t')).errors[0]?.number);
    }
    expect([numbers, engine.faults.applied]).toEqual([[undefined, 40_501, undefined], 1]);
  });

  it('makes a statement the victim of a deadlock: its transaction is rolled back', async () => {
    const { engine, session } = await setUp();
    engine.faults.deadlock({ matches: /^DELETE/ });
    const { errors, replies } = await ask(
      session,
      'BEGIN TRAN; INSERT INTO dbo.t VALUES (2); DELETE FROM dbo.t; COMMIT',
    );
    expect(errors[0]?.number).toBe(1205);
    expect(replies.flatMap((reply) => (reply.kind === 'transaction' ? [reply.event] : []))).toEqual([
      'begun',
      'rolledBack',
    ]);
    expect(await rowsOf(session, 'SELECT id FROM dbo.t')).toEqual([[1n]]);
  });

  it('lets something happen between two statements of a request: a clean-up between probe and read', async () => {
    const { engine, database, session } = await setUp();
    engine.faults.add({ matches: /CHANGETABLE/, before: () => database.cleanUp() });
    const { sets } = await ask(
      session,
      "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.t')); SELECT ct.id FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct",
    );
    expect(sets.map(({ rows }) => rows)).toEqual([[[0n]], []]);
    expect(database.trackingOf('dbo.t')?.minValidVersion).toBe(1n);
  });

  it('falls the same way for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const { engine, session } = await setUp(seed);
      engine.faults.failWith(1222, 16, 'x', { matches: /SELECT/, times: 100, probability: 0.5 });
      let fallen = '';
      for (let turn = 0; turn < 20; turn++) {
        fallen += (await ask(session, 'SELECT 1')).errors.length;
      }
      return fallen;
    };
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
  });
});
