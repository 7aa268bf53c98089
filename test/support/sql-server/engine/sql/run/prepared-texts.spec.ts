import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { ask, rowsOf } from '../../direct/ask.js';
import { SqlServerEngine } from '../../sql-server.engine.js';

async function setUp() {
  const engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(7) });
  const database = engine.createDatabase('app');
  engine.addLogin('clerk', '');
  const open = (user = 'sa') =>
    engine.login({ user, password: '', database: 'app', application: 'spec', host: 'here', readOnlyIntent: false });
  return { database, open };
}

describe('A text that another session has run before', () => {
  it('sets what it sets in the session that says it', async () => {
    const { open } = await setUp();
    const text = 'SET LOCK_TIMEOUT 7; SET XACT_ABORT ON; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT @@SPID;';
    const [one, two] = [await open(), await open()];
    await rowsOf(one, text);
    await ask(one, 'SET LOCK_TIMEOUT -1; SET XACT_ABORT OFF; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;');

    expect(await rowsOf(two, text)).toEqual([[BigInt(two.state.id)]]);

    const settings = [one, two].map(({ state: { lockTimeoutMs, xactAbort, isolation } }) => [
      lockTimeoutMs,
      xactAbort,
      isolation,
    ]);
    expect(settings).toEqual([
      [-1, false, 'read committed'],
      [7, true, 'serializable'],
    ]);
  });

  it('makes its tables where the session is that says it', async () => {
    const { open } = await setUp();
    const text = 'IF @make = 1 CREATE TABLE made (id int PRIMARY KEY, spid int NOT NULL DEFAULT @@SPID);';
    const [one, two] = [await open(), await open()];
    await ask(one, text, { make: 0n });
    await ask(two, text, { make: 1n });
    await ask(two, 'INSERT INTO made (id) VALUES (1);');

    expect(await rowsOf(one, 'SELECT spid FROM made')).toEqual([[BigInt(two.state.id)]]);
  });

  it('is refused to a session that may not say it', async () => {
    const { database, open } = await setUp();
    database.grants.addUser('clerk');
    const admin = await open();
    await ask(admin, 'CREATE TABLE stock (id int PRIMARY KEY);');
    await ask(admin, 'SELECT id FROM stock');

    expect((await ask(await open('clerk'), 'SELECT id FROM stock')).errors.map(({ number }) => number)).toEqual([229]);
  });

  it.each([
    ['was dropped', (database: Awaited<ReturnType<typeof setUp>>['database']) => database.drop('dbo.stock'), 208],
    [
      'may no longer be written',
      (database: Awaited<ReturnType<typeof setUp>>['database']) => void (database.role = 'readable secondary'),
      3906,
    ],
  ])('finds that its table %s', async (_what, change, number) => {
    const { database, open } = await setUp();
    const session = await open();
    await ask(session, 'CREATE TABLE stock (id int PRIMARY KEY);');
    const text = 'INSERT INTO stock VALUES (@id)';
    await ask(session, text, { id: 1n });
    change(database);

    expect((await ask(await open(), text, { id: 2n })).errors.map((error) => error.number)).toEqual([number]);
  });

  it('finds that its table was made by a transaction that gave up', async () => {
    const { open } = await setUp();
    const session = await open();
    await ask(session, 'BEGIN TRANSACTION; CREATE TABLE stock (id int PRIMARY KEY);');
    await ask(session, 'SELECT id FROM stock');
    await ask(session, 'ROLLBACK TRANSACTION;');

    expect((await ask(session, 'SELECT id FROM stock')).errors.map(({ number }) => number)).toEqual([208]);
  });
});
