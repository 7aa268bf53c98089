import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type SqlValue } from '../../seam.js';
import { ask, rowsOf } from '../direct/ask.js';
import { SqlServerEngine } from '../sql-server.engine.js';

/**
 * What others recorded against SQL Server 2025, or Microsoft documents, each fact a row: what is run, then what is asked and what the server said.
 * The same rows can be run against a real server. Missing are those of cascades, triggers and computed columns, which the engine has not.
 */
interface Fact {
  readonly fact: string;
  readonly run?: readonly string[];
  readonly ask: string;
  readonly answer: readonly (readonly SqlValue[])[] | number;
}

const SCRIPT = `
ALTER DATABASE app SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);
CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(20) NULL, note nvarchar(20) NULL);
CREATE TABLE dbo.u (id int NOT NULL PRIMARY KEY, n int NULL);
CREATE TABLE dbo.s (code varchar(9) NOT NULL PRIMARY KEY, n int NULL);
CREATE TABLE dbo.untracked (id int NOT NULL PRIMARY KEY);
ALTER TABLE dbo.t ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);
ALTER TABLE dbo.u ENABLE CHANGE_TRACKING;
ALTER TABLE dbo.s ENABLE CHANGE_TRACKING;`;

const CURRENT = 'SELECT CHANGE_TRACKING_CURRENT_VERSION()';
const changes = (since: string, table = 'dbo.t'): string =>
  `SELECT ct.SYS_CHANGE_OPERATION, ct.id, ct.SYS_CHANGE_VERSION, ct.SYS_CHANGE_CREATION_VERSION FROM CHANGETABLE(CHANGES ${table}, ${since}) AS ct ORDER BY ct.id`;
const insert = (...ids: readonly number[]): string =>
  `INSERT INTO dbo.t (id, name) VALUES ${ids.map((id) => `(${id}, N'x')`).join(', ')}`;

const COUNTER: readonly Fact[] = [
  { fact: 'begins at 0 when tracking is turned on', ask: CURRENT, answer: [[0n]] },
  { fact: 'is NULL while tracking is off for the database', run: ['USE master'], ask: CURRENT, answer: [[null]] },
  {
    fact: 'moves by one for a transaction over many rows and tables',
    run: [`BEGIN TRAN; ${insert(1, 2)}; INSERT INTO dbo.u (id) VALUES (1); COMMIT`],
    ask: `SELECT CHANGE_TRACKING_CURRENT_VERSION(), (SELECT MAX(c.SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES dbo.t, 0) AS c), (SELECT MIN(c.SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES dbo.u, 0) AS c)`,
    answer: [[1n, 1n, 1n]],
  },
  {
    fact: 'stands still for a table that is not tracked',
    run: ['INSERT INTO dbo.untracked VALUES (1)'],
    ask: CURRENT,
    answer: [[0n]],
  },
  {
    fact: 'moves for an update that changes nothing',
    run: [insert(1), 'UPDATE dbo.t SET name = name'],
    ask: CURRENT,
    answer: [[2n]],
  },
  {
    fact: 'stands still for an update of no row',
    run: [insert(1), 'UPDATE dbo.t SET name = name WHERE 1 = 0'],
    ask: CURRENT,
    answer: [[1n]],
  },
  {
    fact: 'stands still for what is rolled back',
    run: [`BEGIN TRAN; ${insert(1)}; ROLLBACK`],
    ask: CURRENT,
    answer: [[0n]],
  },
  {
    fact: 'stands still for what is rolled back to a savepoint',
    run: [`BEGIN TRAN; SAVE TRAN s; ${insert(1)}; ROLLBACK TRAN s; COMMIT`],
    ask: CURRENT,
    answer: [[0n]],
  },
  { fact: 'stands still for a truncate', run: [insert(1), 'TRUNCATE TABLE dbo.t'], ask: CURRENT, answer: [[1n]] },
  {
    fact: 'does not move inside of an open transaction',
    run: [`BEGIN TRAN; ${insert(1)}`],
    ask: CURRENT,
    answer: [[0n]],
  },
  {
    fact: 'is kept when tracking goes off and on, and the least valid version becomes it',
    run: [
      insert(1),
      insert(2),
      'ALTER TABLE dbo.t DISABLE CHANGE_TRACKING; ALTER TABLE dbo.u DISABLE CHANGE_TRACKING; ALTER TABLE dbo.s DISABLE CHANGE_TRACKING',
      'ALTER DATABASE app SET CHANGE_TRACKING = OFF',
      'ALTER DATABASE app SET CHANGE_TRACKING = ON',
      'ALTER TABLE dbo.t ENABLE CHANGE_TRACKING',
    ],
    ask: "SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.t'))",
    answer: [[2n, 2n]],
  },
];

const CHANGE_TABLE: readonly Fact[] = [
  {
    fact: 'gives everything for NULL',
    run: [insert(1), insert(2)],
    ask: changes('NULL'),
    answer: [
      ['I', 1n, 1n, 1n],
      ['I', 2n, 2n, 2n],
    ],
  },
  { fact: 'gives nothing for -1', run: [insert(1)], ask: changes('-1'), answer: [] },
  {
    fact: 'gives nothing for a version above the current one, and no error',
    run: [insert(1)],
    ask: changes('99'),
    answer: [],
  },
  {
    fact: 'gives what is above the version, not what is at it',
    run: [insert(1), insert(2)],
    ask: changes('1'),
    answer: [['I', 2n, 2n, 2n]],
  },
  {
    fact: 'takes the version from a variable',
    run: [insert(1), insert(2)],
    ask: 'DECLARE @after bigint = 1; SELECT ct.id FROM CHANGETABLE(CHANGES dbo.t, @after) AS ct',
    answer: [[2n]],
  },
  {
    fact: 'tells an insert and an update as an insert to whom the row is new',
    run: [insert(1), "UPDATE dbo.t SET name = N'y'"],
    ask: changes('0'),
    answer: [['I', 1n, 2n, 1n]],
  },
  {
    fact: 'tells an insert and an update as an update to whom it is not',
    run: [insert(1), "UPDATE dbo.t SET name = N'y'"],
    ask: changes('1'),
    answer: [['U', 1n, 2n, null]],
  },
  {
    fact: 'shows committed changes only, also to the transaction that made others',
    run: [insert(1), `BEGIN TRAN; ${insert(2)}`],
    ask: changes('0'),
    answer: [['I', 1n, 1n, 1n]],
  },
  {
    fact: 'folds an insert and a delete into a delete',
    run: [insert(1), 'DELETE FROM dbo.t'],
    ask: changes('0'),
    answer: [['D', 1n, 2n, null]],
  },
  {
    fact: 'folds a delete and an insert of one key into an update with a creation version and no mask',
    run: [insert(1), 'DELETE FROM dbo.t', insert(1)],
    ask: 'SELECT ct.SYS_CHANGE_OPERATION, ct.SYS_CHANGE_CREATION_VERSION, ct.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES dbo.t, 1) AS ct',
    answer: [['U', 3n, null]],
  },
  {
    fact: 'tells a new key as a delete of the old and an insert of the new',
    run: [insert(1), 'UPDATE dbo.t SET id = 5'],
    ask: changes('1'),
    answer: [
      ['D', 1n, 2n, null],
      ['I', 5n, 2n, 2n],
    ],
  },
  {
    fact: 'tells keys that move up by one as D1, U2, U3, I4',
    run: [insert(1, 2, 3), 'UPDATE dbo.t SET id = id + 1'],
    ask: 'SELECT ct.SYS_CHANGE_OPERATION, ct.id FROM CHANGETABLE(CHANGES dbo.t, 1) AS ct ORDER BY ct.id',
    answer: [
      ['D', 1n],
      ['U', 2n],
      ['U', 3n],
      ['I', 4n],
    ],
  },
  {
    fact: 'tells a key that is set to itself as an update with a creation version',
    run: [insert(1), 'UPDATE dbo.t SET id = id'],
    ask: changes('1'),
    answer: [['U', 1n, 2n, 2n]],
  },
  {
    fact: 'keeps the first spelling of a key that is rewritten in case only',
    run: ["INSERT INTO dbo.s (code) VALUES ('abc')", "UPDATE dbo.s SET code = 'ABC'"],
    ask: 'SELECT ct.code, s.code FROM CHANGETABLE(CHANGES dbo.s, 1) AS ct INNER JOIN dbo.s AS s ON s.code = ct.code',
    answer: [['abc', 'ABC']],
  },
  {
    fact: 'tells the rows of a MERGE with one version',
    run: [
      insert(1),
      "MERGE dbo.t AS t USING (VALUES (1), (2)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = N'm' WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id);",
    ],
    ask: changes('1'),
    answer: [
      ['U', 1n, 2n, null],
      ['I', 2n, 2n, 2n],
    ],
  },
  {
    fact: 'of a version: NULL for a row that never changed',
    ask: 'SELECT v.SYS_CHANGE_VERSION, v.id FROM CHANGETABLE(VERSION dbo.t, (id), (9)) AS v',
    answer: [[null, 9n]],
  },
  {
    fact: 'of a version: the last change of the row',
    run: [insert(1), insert(2)],
    ask: 'SELECT v.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION dbo.t, ([id]), (2)) AS v',
    answer: [[2n]],
  },
  {
    fact: "of a version: NULL for the session's own uncommitted row",
    run: [`BEGIN TRAN; ${insert(1)}`],
    ask: 'SELECT v.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION dbo.t, (id), (1)) AS v',
    answer: [[null]],
  },
];

const inMask = (column: string): string =>
  `CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID(N'dbo.t'), N'${column}', 'ColumnId'), ct.SYS_CHANGE_COLUMNS)`;

const MASKS: readonly Fact[] = [
  {
    fact: 'names the columns of the SET list, changed or not',
    run: [insert(1), 'UPDATE dbo.t SET name = name'],
    ask: `SELECT ${inMask('name')}, ${inMask('note')}, ct.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES dbo.t, 1) AS ct`,
    answer: [[true, false, Uint8Array.of(0, 0, 0, 0, 2, 0, 0, 0)]],
  },
  {
    fact: 'is NULL when every column that is no key was set at once, and then contains every column',
    run: [insert(1), "UPDATE dbo.t SET name = N'a', note = N'b'"],
    ask: `SELECT ct.SYS_CHANGE_COLUMNS, ${inMask('note')} FROM CHANGETABLE(CHANGES dbo.t, 1) AS ct`,
    answer: [[null, true]],
  },
  {
    fact: 'is NULL of inserts',
    run: [insert(1)],
    ask: 'SELECT ct.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct',
    answer: [[null]],
  },
  {
    fact: 'names a rowversion',
    run: [
      'CREATE TABLE dbo.r (id int PRIMARY KEY, a int, b int, stamp rowversion); ALTER TABLE dbo.r ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)',
      'INSERT INTO dbo.r (id) VALUES (1)',
      'UPDATE dbo.r SET a = 1',
    ],
    ask: 'SELECT ct.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES dbo.r, 1) AS ct',
    answer: [[Uint8Array.of(0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0)]],
  },
  {
    fact: 'that is too short to be one: 22101',
    ask: 'SELECT CHANGE_TRACKING_IS_COLUMN_IN_MASK(1, 0x01)',
    answer: 22_101,
  },
];

const CONTEXTS: readonly Fact[] = [
  {
    fact: 'is told from a literal',
    run: [`WITH CHANGE_TRACKING_CONTEXT (0x0102) ${insert(1)}`],
    ask: 'SELECT ct.SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct',
    answer: [[Uint8Array.of(1, 2)]],
  },
  {
    fact: 'is told from a binary variable, filled to its length',
    run: [`DECLARE @c binary(4) = 0x01; WITH CHANGE_TRACKING_CONTEXT (@c) ${insert(1)}`],
    ask: 'SELECT ct.SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct',
    answer: [[Uint8Array.of(1, 0, 0, 0)]],
  },
  {
    fact: 'is that of the last statement that touched the row',
    run: [`WITH CHANGE_TRACKING_CONTEXT (0x01) ${insert(1)}`, 'UPDATE dbo.t SET name = name'],
    ask: 'SELECT ct.SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct',
    answer: [[null]],
  },
  ...[
    "UPDATE dbo.t SET name = N'y'",
    'DELETE FROM dbo.t',
    "MERGE dbo.t AS t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = N'm';",
  ].map((statement) => ({
    fact: `is told of ${statement.slice(0, 6)} too`,
    run: [insert(1), `WITH CHANGE_TRACKING_CONTEXT (0x07) ${statement}`],
    ask: 'SELECT ct.SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES dbo.t, 1) AS ct',
    answer: [[Uint8Array.of(7)]],
  })),
  {
    fact: 'that is text: 22109',
    ask: `DECLARE @c varchar(9) = 'a'; WITH CHANGE_TRACKING_CONTEXT (@c) ${insert(1)}`,
    answer: 22_109,
  },
  {
    fact: 'that has no bound: 22109',
    ask: `DECLARE @c varbinary(max) = 0x01; WITH CHANGE_TRACKING_CONTEXT (@c) ${insert(1)}`,
    answer: 22_109,
  },
  { fact: 'before a SELECT: 22108', ask: 'WITH CHANGE_TRACKING_CONTEXT (0x01) SELECT 1', answer: 22_108 },
  {
    fact: 'after a statement without semicolon: 319',
    ask: `SELECT 1 WITH CHANGE_TRACKING_CONTEXT (0x01) ${insert(1)}`,
    answer: 319,
  },
];

const BOUNDS =
  "SELECT t.begin_version, t.min_valid_version FROM sys.change_tracking_tables AS t WHERE t.object_id = OBJECT_ID(N'dbo.t')";
const VERSIONS: readonly Fact[] = [
  {
    fact: 'after a truncate, begin and least valid version are the current one',
    run: [insert(1), insert(2), 'TRUNCATE TABLE dbo.t'],
    ask: BOUNDS,
    answer: [[2n, 2n]],
  },
  {
    fact: 'least valid is NULL for an object that is none',
    ask: 'SELECT CHANGE_TRACKING_MIN_VALID_VERSION(1)',
    answer: [[null]],
  },
  {
    fact: 'least valid is NULL for a table that is not tracked',
    ask: "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.untracked'))",
    answer: [[null]],
  },
];

const REFUSALS: readonly Fact[] = [
  { fact: 'without an alias', ask: 'SELECT * FROM CHANGETABLE(CHANGES dbo.t, 0)', answer: 22_104 },
  {
    fact: 'of a table that is not tracked',
    ask: 'SELECT * FROM CHANGETABLE(CHANGES dbo.untracked, 0) AS ct',
    answer: 22_105,
  },
  { fact: 'of a table that is not there', ask: 'SELECT * FROM CHANGETABLE(CHANGES dbo.nothing, 0) AS ct', answer: 208 },
  { fact: 'with an expression as version', ask: 'SELECT * FROM CHANGETABLE(CHANGES dbo.t, 1 + 1) AS ct', answer: 102 },
  {
    fact: 'with a function as version',
    ask: 'SELECT * FROM CHANGETABLE(CHANGES dbo.t, ISNULL(1, 0)) AS ct',
    answer: 102,
  },
  {
    fact: 'of a version with a column that is no key',
    ask: 'SELECT * FROM CHANGETABLE(VERSION dbo.t, (name), (1)) AS v',
    answer: 22_111,
  },
  {
    fact: 'of a version with more values than columns',
    ask: 'SELECT * FROM CHANGETABLE(VERSION dbo.t, (id), (1, 2)) AS v',
    answer: 22_103,
  },
  {
    fact: 'of a version with too few columns of the key',
    ask: 'CREATE TABLE dbo.k (a int, b int, PRIMARY KEY (a, b)); ALTER TABLE dbo.k ENABLE CHANGE_TRACKING; SELECT * FROM CHANGETABLE(VERSION dbo.k, (a), (1)) AS v',
    answer: 22_110,
  },
  {
    fact: 'of a version with a column twice',
    ask: 'SELECT * FROM CHANGETABLE(VERSION dbo.t, (id, id), (1, 1)) AS v',
    answer: 22_112,
  },
  {
    fact: 'to drop the key of a table that is tracked',
    run: ['CREATE TABLE dbo.k (a int CONSTRAINT pk_k PRIMARY KEY); ALTER TABLE dbo.k ENABLE CHANGE_TRACKING'],
    ask: 'ALTER TABLE dbo.k DROP CONSTRAINT pk_k',
    answer: 3735,
  },
  {
    fact: 'to track with a rowversion as key',
    ask: 'CREATE TABLE dbo.k (a rowversion PRIMARY KEY); ALTER TABLE dbo.k ENABLE CHANGE_TRACKING',
    answer: 4999,
  },
  {
    fact: 'settings of a database that is not tracked',
    ask: 'CREATE DATABASE other; ALTER DATABASE other SET CHANGE_TRACKING (CHANGE_RETENTION = 1 DAYS)',
    answer: 5089,
  },
  {
    fact: 'to track without a key',
    ask: 'CREATE TABLE dbo.k (a int); ALTER TABLE dbo.k ENABLE CHANGE_TRACKING',
    answer: 4997,
  },
  { fact: 'to track twice', ask: 'ALTER TABLE dbo.t ENABLE CHANGE_TRACKING', answer: 4996 },
  { fact: 'to stop what is not tracked', ask: 'ALTER TABLE dbo.untracked DISABLE CHANGE_TRACKING', answer: 4998 },
  { fact: 'to turn the database on twice', ask: 'ALTER DATABASE app SET CHANGE_TRACKING = ON', answer: 5088 },
  {
    fact: 'to turn the database off while tables are tracked',
    ask: 'ALTER DATABASE app SET CHANGE_TRACKING = OFF',
    answer: 22_115,
  },
  {
    fact: 'to set tracking beside another option',
    ask: 'ALTER DATABASE app SET CHANGE_TRACKING = ON, ALLOW_SNAPSHOT_ISOLATION ON',
    answer: 22_114,
  },
  {
    fact: 'of a retention in a singular unit',
    ask: 'ALTER DATABASE app SET CHANGE_TRACKING (CHANGE_RETENTION = 1 DAY)',
    answer: 155,
  },
  {
    fact: 'of a retention of nothing',
    ask: 'ALTER DATABASE app SET CHANGE_TRACKING (CHANGE_RETENTION = 0 DAYS)',
    answer: 5092,
  },
  {
    fact: 'to track in a database that does not',
    ask: 'CREATE DATABASE other; USE other; CREATE TABLE dbo.x (id int PRIMARY KEY); ALTER TABLE dbo.x ENABLE CHANGE_TRACKING',
    answer: 1718,
  },
];

describe.each<[string, readonly Fact[]]>([
  ['the counter', COUNTER],
  ['CHANGETABLE', CHANGE_TABLE],
  ['the column mask', MASKS],
  ['the context', CONTEXTS],
  ['the versions of a table', VERSIONS],
  ['change tracking refuses', REFUSALS],
])('as recorded: %s', (_room, facts) => {
  it.each(facts)('$fact', async ({ run = [], ask: question, answer }) => {
    const session = await open();
    for (const sql of [SCRIPT, ...run]) {
      expect((await ask(session, sql)).errors).toEqual([]);
    }
    if (typeof answer === 'number') {
      const { errors } = await ask(session, question);
      expect(errors[0]?.number).toBe(answer);
    } else {
      expect(await rowsOf(session, question)).toEqual(answer);
    }
  });
});

describe('as recorded: who may read changes', () => {
  it('is refused by 229 that names the right, where only reading is allowed', async () => {
    const engine = withDatabase();
    engine.addLogin('reader', 'secret');
    engine.database('app').grants.addUser('reader');
    await ask(await open(engine), `${SCRIPT} GRANT SELECT ON dbo.t TO reader;`);
    const { errors } = await ask(await open(engine, 'reader'), changes('0'));
    expect(errors[0]).toMatchObject({ number: 229, message: expect.stringContaining('VIEW CHANGE TRACKING') });
  });

  it('finds no context before an EXEC', async () => {
    const session = await open();
    await ask(session, SCRIPT);
    const { errors } = await ask(session, "WITH CHANGE_TRACKING_CONTEXT (0x01) EXEC sp_executesql N'SELECT 1'");
    expect(errors).toHaveLength(1);
  });
});

describe('as recorded: the columns of CHANGETABLE', () => {
  it('are the versions, the operation, the mask and the context, then the key', async () => {
    const session = await open();
    await ask(session, SCRIPT);
    const { sets } = await ask(session, 'SELECT * FROM CHANGETABLE(CHANGES dbo.t, 0) AS ct');
    expect(sets[0]?.columns.map(({ name, type }) => [name, type.name, type.length])).toEqual([
      ['SYS_CHANGE_VERSION', 'bigint', undefined],
      ['SYS_CHANGE_CREATION_VERSION', 'bigint', undefined],
      ['SYS_CHANGE_OPERATION', 'nchar', 1],
      ['SYS_CHANGE_COLUMNS', 'varbinary', 4_100],
      ['SYS_CHANGE_CONTEXT', 'varbinary', 128],
      ['id', 'int', undefined],
    ]);
  });
});

describe('as recorded: a table that is not tracked', () => {
  it('refuses the whole batch before it runs, also in a branch that is never taken', async () => {
    const session = await open();
    await ask(session, SCRIPT);
    const { sets, errors } = await ask(
      session,
      "SELECT 'first'; IF 1 = 0 SELECT * FROM CHANGETABLE(CHANGES dbo.untracked, 0) AS ct",
    );
    expect([sets, errors.map(({ number, message }) => [number, message])]).toEqual([
      [],
      [[22_105, "Change tracking is not enabled on table 'dbo.untracked'."]],
    ]);
  });

  it('says more than one thing about ALTER DATABASE: the cause, then that it failed', async () => {
    const session = await open();
    await ask(session, SCRIPT);
    const { errors } = await ask(session, 'ALTER DATABASE app SET CHANGE_TRACKING = OFF');
    expect(errors.map(({ number }) => number)).toEqual([22_115, 5069]);
  });
});

async function open(engine = withDatabase(), user = 'sa') {
  return engine.login({
    user,
    password: 'secret',
    database: 'app',
    application: 'spec',
    host: 'here',
    readOnlyIntent: false,
  });
}

function withDatabase(): SqlServerEngine {
  const engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(3) });
  engine.createDatabase('app');
  return engine;
}
