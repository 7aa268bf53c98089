import { describe, expect, it } from 'vitest';
import { readSources, type SourceFile } from './source-tree.js';

const ROOM = 'libs/cdc/src/sql-server/statements/';
const DOCTOR = 'libs/cdc/src/sql-server/doctor/findings.ts';
/** Where text for SQL Server is made, each with what keeps it: everything else takes it from there. */
const KEPT: Readonly<Record<string, string>> = {
  [ROOM]: 'statements.spec.ts beside it, for docs/guides/sql-server-statements.md',
  [DOCTOR]: 'the same page, as what mends a database',
  'libs/pulsar/src/typeorm/dedupe-statements.ts':
    'dedupe-statements.spec.ts beside it, for docs/guides/sql-server-dedupe-statements.md',
  'apps/production-forecast/src/storage/migrations/': 'test/wire/apps/forms/migrations.sql',
  'apps/notification-service/src/store/migrations/': 'test/wire/apps/forms/migrations.sql',
  'apps/demo/src/hosting/run-database.ts': 'test/wire/apps/forms/demo.sql',
};
/** Says which statement a user may run, and sends none. */
const REMEDIES = 'libs/cdc/src/sql-server/sql-server.errors.ts';

const production = readSources('libs', 'apps').filter(
  ({ path }) => path.includes('/src/') && !path.endsWith('.spec.ts') && !path.startsWith('libs/cdc/src/embedded/'),
);
const elsewhere = production.filter(
  ({ path }) => path !== REMEDIES && !Object.keys(KEPT).some((place) => path.startsWith(place)),
);

/** A text that begins as a statement does, in the capitals of this project. */
const STATEMENT =
  /['"`]\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|MERGE|SET|CREATE|ALTER|DROP|TRUNCATE|GRANT|DENY|REVOKE|EXEC|EXECUTE|DECLARE|IF|WITH|USE|SAVE|KILL|BACKUP|RESTORE|WAITFOR|PRINT)\s|(?:BEGIN|COMMIT|ROLLBACK)\b)/;
/** What sends a text, with a text that is written in the call. */
const SENT = /(?:\.(?:query|batch|execute|exec|execSql|execSqlBatch|prepare)(?:<[^()]*>)?\(|\bsql:)\s*['"`]/;

describe('text for SQL Server', () => {
  it.each([
    ["await runner.query('SELECT 1');", true],
    ['await dataSource.query<Row[]>(\n      `update x`,\n    );', true],
    ["pool.run({ name: 'look', sql: 'sp_who', parameters: [] });", true],
    ["request.batch(\n  'sp_who')", true],
    ["const LOWER = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED';", true],
    ['const sql = `\n  DECLARE @a int;`;', true],
    ['await runner.query(statement.sql);', false],
    ["logger.debug('Set aside: it selects nothing.');", false],
  ])('is told from other text: %j', (text, isSql) => {
    expect(found({ path: 'x.ts', text, imports: [] }).length > 0).toBe(isSql);
  });

  it('stands where something keeps it: a page that lists it, or the forms of an app', () => {
    expect(elsewhere.flatMap(found)).toEqual([]);
  });

  it.each(Object.entries(KEPT))('of %s is there, kept by %s', (place) => {
    expect(production.filter(({ path }) => path.startsWith(place)).flatMap(found)).not.toEqual([]);
  });

  it('is on the page whichever function of the room makes it', () => {
    const makers = production
      .filter(({ path }) => path.startsWith(ROOM))
      .flatMap(({ text }) =>
        [...text.matchAll(/^export function (\w+)\([^{;]*\): (?:readonly )?SqlServerStatement\b/gm)].map(
          ([, name = '']) => name,
        ),
      );
    const listing = readSources('libs/cdc')
      .filter(({ path }) => path === `${ROOM}statements.spec.ts` || path === DOCTOR)
      .map(({ text }) => text)
      .join('\n');
    expect(makers.length).toBeGreaterThan(20);
    expect(makers.filter((name) => !new RegExp(`\\b${name}\\(`).test(listing))).toEqual([]);
  });
});

/** Places where a file writes or sends a statement, comments left out. */
function found({ path, text }: SourceFile): readonly string[] {
  const code = text.replaceAll(/^\s*(?:\*|\/\/|\/\*).*$/gm, '');
  return [STATEMENT, SENT].flatMap((pattern) =>
    [...code.matchAll(new RegExp(pattern, 'g'))].map(
      (match) => `${path}:${code.slice(0, match.index).split('\n').length} ${match[0].trim()}`,
    ),
  );
}
