import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type SqlSession, SqlServerFault } from '../../seam.js';
import { ask, rowsOf } from '../direct/ask.js';
import { SqlServerEngine } from '../sql-server.engine.js';

const SCRIPT = `
ALTER DATABASE app SET CHANGE_TRACKING = ON;
CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, open_text nvarchar(9) NULL, secret nvarchar(9) NULL);
ALTER TABLE dbo.t ENABLE CHANGE_TRACKING;
INSERT INTO dbo.t VALUES (1, N'a', N'b');
CREATE USER reader;`;
const CHANGES = 'SELECT COUNT(*) FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct';

async function setUp(...grants: readonly string[]) {
  const engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(5) });
  const database = engine.createDatabase('app');
  engine.addLogin('reader', 'right');
  const open = (user: string, password = 'right', name = 'app'): Promise<SqlSession> =>
    engine.login({ user, password, database: name, application: 'spec', host: 'here', readOnlyIntent: false });
  const admin = await open('sa');
  for (const sql of [SCRIPT, ...grants]) {
    expect((await ask(admin, sql)).errors).toEqual([]);
  }
  const reader = await open('reader');
  return { engine, database, admin, reader, open, refused: async (sql: string) => (await ask(reader, sql)).errors[0] };
}

describe('a user', () => {
  it('without any right does not even see the table', async () => {
    const { reader, refused } = await setUp();
    expect(
      await rowsOf(
        reader,
        "SELECT OBJECT_ID(N'dbo.t'), (SELECT COUNT(*) FROM sys.tables), HAS_PERMS_BY_NAME(N'dbo.t', N'OBJECT', N'SELECT')",
      ),
    ).toEqual([[null, 0n, null]]);
    expect(await refused('SELECT * FROM dbo.t')).toMatchObject({
      number: 229,
      class: 14,
      message: "The SELECT permission was denied on the object 't', database 'app', schema 'dbo'.",
    });
  });

  it('with SELECT alone is refused its changes by name, and the least valid version is NULL', async () => {
    const { reader, refused } = await setUp('GRANT SELECT ON [dbo].[t] TO [reader]');
    expect(await refused(CHANGES)).toMatchObject({
      number: 229,
      message: "The VIEW CHANGE TRACKING permission was denied on the object 't', database 'app', schema 'dbo'.",
    });
    expect(
      await rowsOf(
        reader,
        "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.t')), HAS_PERMS_BY_NAME(N'dbo.t', N'OBJECT', N'VIEW CHANGE TRACKING')",
      ),
    ).toEqual([[null, 0n]]);
  });

  it('with both reads changes', async () => {
    const { reader } = await setUp(
      'GRANT SELECT ON dbo.t TO reader; GRANT VIEW CHANGE TRACKING ON OBJECT::dbo.t TO reader',
    );
    expect(await rowsOf(reader, CHANGES)).toEqual([[1n]]);
  });

  it('with some columns is refused others by 230', async () => {
    const { reader, refused } = await setUp('GRANT SELECT ON dbo.t (id, open_text) TO reader');
    expect(await rowsOf(reader, 'SELECT open_text FROM dbo.t')).toEqual([['a']]);
    expect(await refused('SELECT secret FROM dbo.t')).toMatchObject({
      number: 230,
      message:
        "The SELECT permission was denied on the column 'secret' of the object 't', database 'app', schema 'dbo'.",
    });
  });

  it('loses what is denied or revoked', async () => {
    const { admin, reader, refused } = await setUp('GRANT SELECT ON SCHEMA::dbo TO reader');
    expect(await rowsOf(reader, 'SELECT COUNT(*) FROM dbo.t')).toEqual([[1n]]);
    await ask(admin, 'DENY SELECT ON dbo.t TO reader');
    expect((await refused('SELECT * FROM dbo.t'))?.number).toBe(229);
  });

  it.each([
    ['INSERT INTO dbo.t (id) VALUES (2)', 229],
    ['UPDATE dbo.t SET open_text = NULL', 229],
    ['DELETE FROM dbo.t', 229],
    ['TRUNCATE TABLE dbo.t', 4701],
    ['ALTER TABLE dbo.t DISABLE CHANGE_TRACKING', 229],
    ['DROP TABLE dbo.t', 3701],
    ['CREATE TABLE dbo.x (id int)', 262],
    ['ALTER DATABASE app SET ALLOW_SNAPSHOT_ISOLATION ON', 262],
    ['SELECT * FROM sys.dm_tran_commit_table', 262],
  ])('may read and no more: %s', async (sql, number) => {
    const { refused } = await setUp('GRANT SELECT ON dbo.t TO reader');
    expect((await refused(sql))?.number).toBe(number);
  });

  it('with VIEW DATABASE STATE sees when versions were committed', async () => {
    const { reader } = await setUp('GRANT VIEW DATABASE STATE TO reader');
    expect(await rowsOf(reader, 'SELECT commit_ts, commit_time FROM sys.dm_tran_commit_table')).toEqual([
      [1n, '2026-01-01 00:00:00.000'],
    ]);
  });
});

describe('a login', () => {
  it.each([
    ['reader', 'wrong', 'app', 18_456],
    ['nobody', '', 'app', 18_456],
    ['reader', 'right', 'nowhere', 4060],
  ])('%s with %s to %s: refused', async (user, password, name, number) => {
    const { open } = await setUp();
    const error: unknown = await open(user, password, name).catch((one: unknown) => one);
    expect(error instanceof SqlServerFault && error.details.number).toBe(number);
  });

  it('is known by its name', async () => {
    const { reader } = await setUp();
    expect(
      await rowsOf(reader, "SELECT SUSER_SNAME(), USER_NAME(), APP_NAME(), IS_SRVROLEMEMBER(N'sysadmin')"),
    ).toEqual([['reader', 'reader', 'spec', 0n]]);
  });
});

describe('a secondary replica', () => {
  it('answers 22117 to change tracking, refuses writes, and says that it is read-only', async () => {
    const { admin, database } = await setUp();
    database.role = 'readable secondary';
    expect(await rowsOf(admin, "SELECT COUNT(*), DATABASEPROPERTYEX(DB_NAME(), N'Updateability') FROM dbo.t")).toEqual([
      [1n, 'READ_ONLY'],
    ]);
    for (const sql of [CHANGES, 'SELECT CHANGE_TRACKING_CURRENT_VERSION()']) {
      expect((await ask(admin, sql)).errors[0]?.number).toBe(22_117);
    }
    expect((await ask(admin, 'DELETE FROM dbo.t')).errors[0]?.number).toBe(3906);
  });
});

describe('a session that is killed', () => {
  it('ends with 596, and its transaction is gone', async () => {
    const { admin, database, engine, open } = await setUp();
    await ask(admin, 'BEGIN TRAN; DELETE FROM dbo.t');
    engine.killSessions('app');
    expect((await ask(admin, 'SELECT 1')).errors).toMatchObject([{ number: 596, class: 21 }]);
    expect([database.rows('dbo.t').length, engine.sessions]).toEqual([1, 0]);
    expect(await rowsOf(await open('sa'), 'SELECT COUNT(*) FROM dbo.t')).toEqual([[1n]]);
  });
});
