import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type SqlSession, type SqlValue } from '../../seam.js';
import { ask, type AskedValues, rowsOf } from '../direct/ask.js';
import { SqlServerEngine } from '../sql-server.engine.js';

async function setUp(script = '') {
  const clock = new VirtualClock(Date.UTC(2026, 10, 27, 20, 31, 5));
  const engine = new SqlServerEngine({ clock, random: new SeededRandom(7) });
  engine.createDatabase('app');
  const open = (user = 'sa'): Promise<SqlSession> =>
    engine.login({ user, password: '', database: 'app', application: 'spec', host: 'here', readOnlyIntent: false });
  const session = await open();
  const run = async (sql: string, values: AskedValues = {}) => {
    const answer = await ask(session, sql, values);
    expect(answer.errors).toEqual([]);
    return answer;
  };
  if (script !== '') {
    await run(script);
  }
  return {
    clock,
    engine,
    session,
    open,
    run,
    rows: (sql: string, values?: AskedValues) => rowsOf(session, sql, values),
  };
}

const STOCK = `
CREATE TABLE dbo.stock (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL, level int NULL, price decimal(9,2) NULL);
INSERT INTO dbo.stock (id, name, level, price) VALUES (1, N'apple', 3, 1.25), (2, N'Pear', NULL, 2), (3, N'plum', 7, 0.5);`;

describe('values', () => {
  it.each<[string, SqlValue]>([
    ['1 + 2 * 3', 7n],
    ['7 / 2', 3n],
    ['-7 % 3', -1n],
    ['1.5 + 1', '2.5'],
    ['CAST(10 AS decimal(9,2)) / 4', '2.5000000000000'],
    ["N'a' + N'b'", 'ab'],
    ["'a' + CAST(1 AS varchar(9))", 'a1'],
    ["CASE WHEN 1 = 1 THEN 'x' ELSE 'yy' END", 'x'],
    ["CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", 'two'],
    ["ISNULL(NULL, 'z')", 'z'],
    ['COALESCE(NULL, NULL, 4)', 4n],
    ["NULLIF('a', 'A')", null],
    ["LEN('ab  ')", 2n],
    ["SUBSTRING('abcdef', 2, 3)", 'bcd'],
    ["REPLACE('Aba', 'a', 'x')", 'xbx'],
    ["CHARINDEX('B', 'abc')", 2n],
    ["CONCAT('a', NULL, 1)", 'a1'],
    ["QUOTENAME('a]b')", '[a]]b]'],
    ['CAST(3 AS bit)', true],
    ["CAST('2026-11-27 20:31:05.1234567' AS datetime2(3))", '2026-11-27 20:31:05.123'],
    ["CAST('2026-11-27T20:31:05.128' AS datetime)", '2026-11-27 20:31:05.127'],
    ["CAST('2026-11-27 20:31:05 +03:00' AS datetimeoffset(0))", '2026-11-27 20:31:05 +03:00'],
    ["CONVERT(varchar(30), CAST('2026-11-27 20:31:05.1' AS datetime), 121)", '2026-11-27 20:31:05.100'],
    ["CONVERT(varchar(30), CAST('2026-11-27 20:31:05.1' AS datetime))", 'Nov 27 2026  8:31PM'],
    ["DATEADD(month, 1, CAST('2026-01-31' AS date))", '2026-02-28'],
    ["DATEDIFF_BIG(second, '19700101', CAST('1970-01-02' AS datetime2))", 86_400n],
    ["DATEDIFF(year, '2025-12-31', '2026-01-01')", 1n],
    ['SYSUTCDATETIME()', '2026-11-27 20:31:05.0000000'],
    ['CONVERT(varchar(10), 0xAB01, 1)', '0xAB01'],
    ["TRY_CAST('x' AS int)", null],
    ["CASE WHEN 'abc' LIKE 'A_%' THEN 1 ELSE 0 END", 1n],
    ["CASE WHEN 'a' COLLATE Latin1_General_BIN2 = 'A' THEN 1 ELSE 0 END", 0n],
    ['CASE WHEN 5 BETWEEN 1 AND 5 THEN 1 ELSE 0 END', 1n],
    ['CASE WHEN NULL = NULL THEN 1 ELSE 0 END', 0n],
    ['CASE WHEN 3 NOT IN (1, NULL) THEN 1 ELSE 0 END', 0n],
    ['DB_NAME()', 'app'],
    ['@@TRANCOUNT', 0n],
  ])('knows %s', async (expression, expected) => {
    const { rows } = await setUp();
    expect(await rows(`SELECT ${expression} AS v`)).toEqual([[expected]]);
  });

  it('orders a uniqueidentifier by its last six bytes first', async () => {
    const { rows } = await setUp(`CREATE TABLE dbo.g (id uniqueidentifier NOT NULL PRIMARY KEY);
      INSERT INTO dbo.g VALUES ('FFFFFFFF-0000-0000-0000-000000000001'), ('00000000-0000-0000-0000-000000000002'), ('00000000-0000-0000-0001-000000000001');`);
    expect((await rows('SELECT id FROM dbo.g ORDER BY id')).map(([id]) => String(id).slice(-17))).toEqual([
      '0000-000000000001',
      '0001-000000000001',
      '0000-000000000002',
    ]);
  });
});

describe('queries', () => {
  it.each<[string, readonly (readonly SqlValue[])[]]>([
    ['SELECT name FROM dbo.stock WHERE level > 2 ORDER BY name DESC', [['plum'], ['apple']]],
    ["SELECT id FROM stock WHERE name = N'PEAR'", [[2n]]],
    ['SELECT TOP (2) id FROM [dbo].[stock] AS s ORDER BY s.[id] DESC', [[3n], [2n]]],
    ['SELECT id AS "n" FROM "stock" ORDER BY n OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY', [[2n]]],
    [
      'SELECT COUNT(*), COUNT(level), SUM(level), MIN(name), AVG(price) FROM stock',
      [[3n, 2n, 10n, 'apple', '1.250000']],
    ],
    ['SELECT COUNT(1) FROM stock WHERE 1 = 0', [[0n]]],
    [
      "SELECT CASE WHEN level IS NULL THEN 'none' ELSE 'some' END AS k, COUNT(*) AS n FROM stock GROUP BY CASE WHEN level IS NULL THEN 'none' ELSE 'some' END ORDER BY k",
      [
        ['none', 1n],
        ['some', 2n],
      ],
    ],
    [
      'SELECT s.id, t.id FROM stock s INNER JOIN stock t ON t.id = s.id + 1 ORDER BY s.id',
      [
        [1n, 2n],
        [2n, 3n],
      ],
    ],
    [
      'SELECT s.id, t.id FROM stock s LEFT JOIN stock t ON t.id = s.id + 1 ORDER BY s.id',
      [
        [1n, 2n],
        [2n, 3n],
        [3n, null],
      ],
    ],
    [
      'SELECT p.id, r.name FROM (SELECT TOP (2) id FROM stock ORDER BY id DESC) AS p LEFT OUTER JOIN stock AS r ON r.id = p.id ORDER BY p.id',
      [
        [2n, 'Pear'],
        [3n, 'plum'],
      ],
    ],
    ['SELECT id FROM stock s WHERE EXISTS (SELECT 1 FROM stock t WHERE t.id = s.id + 2)', [[1n]]],
    [
      'SELECT (SELECT MAX(id) FROM stock), v.a FROM (VALUES (1), (2)) AS v (a) ORDER BY a',
      [
        [3n, 1n],
        [3n, 2n],
      ],
    ],
    ['SELECT id FROM stock WHERE id IN (SELECT id + 1 FROM stock) UNION ALL SELECT 9 ORDER BY 1', [[2n], [3n], [9n]]],
    ['WITH top2 AS (SELECT TOP (2) id FROM stock ORDER BY id) SELECT COUNT(*) FROM top2', [[2n]]],
    ['SELECT DISTINCT level / 100 AS d FROM stock ORDER BY d', [[null], [0n]]],
    ['SELECT TOP (1) WITH TIES level / 100 AS d FROM stock WHERE level IS NOT NULL ORDER BY d', [[0n], [0n]]],
    [
      'SELECT s.id FROM stock s CROSS APPLY (SELECT TOP (1) t.id FROM stock t WHERE t.id > s.id ORDER BY t.id) n ORDER BY s.id',
      [[1n], [2n]],
    ],
  ])('answers %s', async (sql, expected) => {
    const { rows } = await setUp(STOCK);
    expect(await rows(sql)).toEqual(expected);
  });

  it('tells names and types of columns, also of none', async () => {
    const { run } = await setUp(STOCK);
    const { sets } = await run("SELECT s.*, 1, N'x' AS t FROM stock s WHERE 1 = 0");
    expect(sets[0]?.columns.map(({ name, type }) => [name, type.name])).toEqual([
      ['id', 'int'],
      ['name', 'nvarchar'],
      ['level', 'int'],
      ['price', 'decimal'],
      ['', 'int'],
      ['t', 'nvarchar'],
    ]);
  });

  it('assigns variables from rows and declares them for the batch', async () => {
    const { rows } = await setUp(STOCK);
    expect(
      await rows(
        'DECLARE @n int = 1, @t nvarchar(9); SELECT @n = @n + level, @t = name FROM stock WHERE id = 3; SET @n += 1; SELECT @n, @t',
      ),
    ).toEqual([[9n, 'plum']]);
  });
});

describe('changes', () => {
  it('inserts with OUTPUT, identity, defaults and from a query', async () => {
    const { rows, run } = await setUp(
      `CREATE TABLE note (id int IDENTITY(1,1) NOT NULL, body nvarchar(9) NOT NULL, seen bit NOT NULL CONSTRAINT df DEFAULT 0, CONSTRAINT pk PRIMARY KEY (id))`,
    );
    expect(await rows("INSERT INTO note (body) OUTPUT inserted.id, inserted.seen VALUES (N'a'), (N'b')")).toEqual([
      [1n, false],
      [2n, false],
    ]);
    expect(await rows('SELECT SCOPE_IDENTITY(), @@ROWCOUNT')).toEqual([['2', 2n]]);
    const { counts } = await run('INSERT INTO note (body, seen) SELECT body, 1 FROM note WHERE id = 1');
    expect(counts).toEqual([1]);
    expect(
      await rows(
        'DECLARE @o TABLE (id int); INSERT INTO note (body) OUTPUT inserted.id INTO @o VALUES (@b); SELECT * FROM @o',
        { b: 'c' },
      ),
    ).toEqual([[4n]]);
  });

  it('updates with OUTPUT, with FROM, and gives nothing for no row', async () => {
    const { rows, run } = await setUp(STOCK);
    expect(
      await rows(
        'UPDATE stock SET level = CASE WHEN level IS NULL THEN 0 ELSE level + 1 END OUTPUT deleted.level, inserted.level WHERE id <= 2',
      ),
    ).toEqual([
      [3n, 4n],
      [null, 0n],
    ]);
    const { counts } = await run(
      "UPDATE r SET r.name = s.name + N'!' FROM stock AS r INNER JOIN stock AS s ON s.id = r.id WHERE r.id = 1; UPDATE stock SET level = 9 WHERE 1 = 0",
    );
    expect(counts).toEqual([1, 0]);
    expect(await rows('SELECT name FROM stock WHERE id = 1')).toEqual([['apple!']]);
  });

  it('moves keys in one statement', async () => {
    const { rows, run } = await setUp(STOCK);
    await run('UPDATE stock SET id = id + 1');
    expect(await rows('SELECT id FROM stock ORDER BY id')).toEqual([[2n], [3n], [4n]]);
  });

  it('deletes, by TOP and by OUTPUT, too', async () => {
    const { rows } = await setUp(STOCK);
    expect(await rows('DELETE TOP (1) FROM stock OUTPUT deleted.id WHERE id > 1')).toHaveLength(1);
    expect(await rows('SELECT COUNT(*) FROM stock')).toEqual([[2n]]);
  });

  it('merges rows that are there and rows that are not', async () => {
    const { rows } = await setUp(STOCK);
    expect(
      await rows(
        `MERGE INTO "stock" WITH (HOLDLOCK) "t" USING (VALUES (@0, @1), (@2, @3)) "s" ("id", "name") ON ("t"."id" = "s"."id")
        WHEN MATCHED THEN UPDATE SET "t"."name" = "s"."name" WHEN NOT MATCHED THEN INSERT ("id", "name") VALUES ("s"."id", "s"."name")
        OUTPUT $action, inserted.id;`,
        { 0: 1n, 1: 'one', 2: 8n, 3: 'eight' },
      ),
    ).toEqual([
      ['UPDATE', 1n],
      ['INSERT', 8n],
    ]);
    expect(await rows('SELECT name FROM stock WHERE id IN (1, 8) ORDER BY id')).toEqual([['one'], ['eight']]);
  });

  it('gives a rowversion at every write', async () => {
    const { rows, run } = await setUp('CREATE TABLE v (id int PRIMARY KEY, x int, rv rowversion)');
    await run('INSERT INTO v (id, x) VALUES (1, 1)');
    const [[before]] = (await rows('SELECT rv FROM v')) as [[Uint8Array]];
    await run('UPDATE v SET x = x');
    const [[after]] = (await rows('SELECT rv FROM v')) as [[Uint8Array]];
    expect(Buffer.compare(after, before)).toBe(1);
  });
});

describe('the flow of a batch', () => {
  it('chooses, repeats, catches and prints', async () => {
    const { rows, run } = await setUp(STOCK);
    expect(
      await rows('DECLARE @i int = 0; WHILE @i < 5 BEGIN SET @i = @i + 1; IF @i = 3 BREAK; END SELECT @i'),
    ).toEqual([[3n]]);
    expect(await rows("IF EXISTS (SELECT 1 FROM stock WHERE id = 9) SELECT 'yes' ELSE SELECT 'no'")).toEqual([['no']]);
    expect(
      await rows('BEGIN TRY SELECT 1 / 0; END TRY BEGIN CATCH SELECT ERROR_NUMBER(), XACT_STATE(); END CATCH'),
    ).toEqual([[8134n, 0n]]);
    expect((await run("PRINT N'hello'")).infos[0]?.message).toBe('hello');
  });

  it('runs text that was made at run time', async () => {
    const { rows } = await setUp(STOCK);
    expect(await rows("EXEC(N'SELECT MAX(id) FROM stock')")).toEqual([[3n]]);
    expect(await rows("EXEC sp_executesql N'SELECT @a + 1', N'@a int', @a = 4")).toEqual([[5n]]);
  });

  it('nests transactions and goes back to savepoints', async () => {
    const { rows, run } = await setUp(STOCK);
    const { replies } = await run(
      `BEGIN TRAN; BEGIN TRAN; DELETE FROM stock WHERE id = 1; SAVE TRAN s; DELETE FROM stock; ROLLBACK TRAN s; COMMIT; SELECT @@TRANCOUNT; COMMIT;`,
    );
    expect(replies.flatMap((reply) => (reply.kind === 'transaction' ? [reply.event] : []))).toEqual([
      'begun',
      'committed',
    ]);
    expect(await rows('SELECT id FROM stock ORDER BY id')).toEqual([[2n], [3n]]);
  });
});

describe('databases', () => {
  it('are made, used by one alone, and dropped once nobody is in them', async () => {
    const engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(1) });
    const login = (database: string) =>
      engine.login({ user: 'sa', password: '', database, application: 'spec', host: 'here', readOnlyIntent: false });
    const numberOf = async (session: SqlSession, sql: string) => (await ask(session, sql)).errors[0]?.number;
    const master = await login('master');
    await ask(master, 'CREATE DATABASE [run-1]');
    const inside = await login('run-1');
    expect(await numberOf(master, 'DROP DATABASE [run-1]')).toBe(3702);
    expect(await numberOf(master, 'ALTER DATABASE [run-1] SET SINGLE_USER WITH ROLLBACK IMMEDIATE')).toBeUndefined();
    expect(await numberOf(inside, 'SELECT 1')).toBe(596);
    expect(await numberOf(master, 'DROP DATABASE [run-1]')).toBeUndefined();
    expect(engine.databaseNames).toEqual(['master']);
    expect(await numberOf(master, 'DROP DATABASE [run-1]')).toBe(3701);
    expect(await numberOf(master, 'DROP DATABASE IF EXISTS [run-1]')).toBeUndefined();
  });
});

describe("mistakes have SQL Server's numbers", () => {
  it.each<[string, number]>([
    ['SELECT 1 +', 102],
    ['SELECT FROM stock', 156],
    ["SELECT 'a", 105],
    ['SELECT * FROM nothing', 208],
    ['SELECT wrong FROM stock', 207],
    ['SELECT x.id FROM stock', 4104],
    ['SELECT id FROM stock a, stock b', 209],
    ['SELECT @nobody', 137],
    ['SELECT NO_SUCH_FUNCTION(1)', 195],
    ['SELEC 1', 2812],
    ["INSERT INTO stock (id, name) VALUES (1, N'again')", 2627],
    ['INSERT INTO stock (id) VALUES (5)', 515],
    ["INSERT INTO stock (id, name) VALUES (5, REPLICATE(N'x', 21))", 2628],
    ["SELECT CAST('x' AS int)", 245],
    ["SELECT * FROM stock WHERE id = N'x'", 245],
    ["SELECT CAST('x' AS bigint)", 8114],
    ["SELECT CAST('nope' AS datetime2)", 241],
    ["SELECT CAST('nope' AS uniqueidentifier)", 8169],
    ['SELECT 2147483647 + 1', 8115],
    ['SELECT 1 / 0', 8134],
    ["SELECT 0x01 + 'a'", 402],
    ['SELECT name, COUNT(*) FROM stock', 8120],
    ['SELECT * FROM (SELECT id FROM stock ORDER BY id) AS d', 1033],
    ['SELECT (SELECT id FROM stock)', 512],
    ['SELECT id FROM stock WHERE COUNT(*) > 1', 147],
    ['COMMIT', 3902],
    ['ROLLBACK', 3903],
    ['SAVE TRAN s', 628],
    ['BEGIN TRAN; ROLLBACK TRAN nobody', 6401],
    ['DROP TABLE nothing', 3701],
    ['TRUNCATE TABLE nothing', 4701],
    ['ALTER TABLE nothing ENABLE CHANGE_TRACKING', 4902],
    ['CREATE TABLE stock (id int)', 2714],
    ['USE nowhere', 911],
    ['MERGE stock t USING stock s ON t.id = s.id WHEN MATCHED THEN DELETE', 10_713],
    ["DECLARE @b varbinary(9) = N'x'", 257],
    ['SET NO_SUCH_OPTION ON', 195],
  ])('%s', async (sql, number) => {
    const { session } = await setUp(STOCK);
    const { errors } = await ask(session, sql);
    expect(errors[0]?.number).toBe(number);
  });

  it('runs nothing of a batch with a mistake in its grammar or its names', async () => {
    const { rows, session } = await setUp(STOCK);
    await ask(session, 'DELETE FROM stock; SELECT 1 +');
    await ask(session, 'DELETE FROM stock; SELECT wrong FROM stock');
    expect(await rows('SELECT COUNT(*) FROM stock')).toEqual([[3n]]);
  });

  it('runs a batch up to a table that is not there, and no further', async () => {
    const { session } = await setUp(STOCK);
    const { sets, errors } = await ask(session, "SELECT 'before'; SELECT * FROM nothing; SELECT 'after'");
    expect([sets.map(({ rows }) => rows[0]), errors.map(({ number }) => number)]).toEqual([[['before']], [208]]);
  });

  it('goes on after an error of a row, unless XACT_ABORT is on', async () => {
    const { rows, session } = await setUp(STOCK);
    const batch =
      "BEGIN TRAN; INSERT INTO stock (id, name) VALUES (1, N'x'); INSERT INTO stock (id, name) VALUES (7, N'x'); COMMIT;";
    expect((await ask(session, batch)).infos[0]?.number).toBe(3621);
    expect(await rows('SELECT COUNT(*) FROM stock')).toEqual([[4n]]);
    await ask(session, `SET XACT_ABORT ON; DELETE FROM stock WHERE id = 7; ${batch}`);
    expect(await rows('SELECT COUNT(*), @@TRANCOUNT FROM stock')).toEqual([[3n, 0n]]);
  });

  it.each([
    'CREATE TABLE x (id int, FOREIGN KEY (id) REFERENCES stock (id))',
    'CREATE TABLE x (id int CHECK (id > 0))',
    'CREATE TABLE x (id int, twice AS id * 2)',
    'CREATE TABLE #x (id int)',
    'SELECT ROW_NUMBER() OVER (ORDER BY id) FROM stock',
    'CREATE VIEW v AS SELECT 1 AS a',
    'SELECT id FROM stock EXCEPT SELECT 1',
    'SELECT a.id FROM stock a FULL JOIN stock b ON a.id = b.id',
    'SET ROWCOUNT 5',
    'WITH s AS (SELECT 1 AS a) DELETE FROM stock',
  ])('says that it does not know what SQL Server knows: %s', async (sql) => {
    const { session } = await setUp(STOCK);
    const [error] = (await ask(session, sql)).errors;
    expect([error?.number, error?.message.startsWith('The test engine does not know')]).toEqual([50_000, true]);
  });

  it('tells the line of the mistake', async () => {
    const { session } = await setUp(STOCK);
    expect((await ask(session, 'SELECT 1;\nSELECT 1;\nSELECT wrong FROM stock')).errors[0]?.line).toBe(3);
  });
});
