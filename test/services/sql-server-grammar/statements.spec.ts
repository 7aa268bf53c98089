import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UNKNOWN_CONSTRUCTS } from '../../support/sql-server/grammar/constructs.js';
import { TransactSqlGrammar } from '../../support/sql-server/grammar/t-sql.grammar.js';

const root = join(import.meta.dirname, '../../..');

interface Sent {
  readonly from: string;
  readonly sql: string;
}

/** The pages of all statements of change capture, and of the store that remembers messages. */
function ofThePages(): readonly Sent[] {
  const page = ['sql-server-statements.md', 'sql-server-dedupe-statements.md']
    .map((file) => readFileSync(join(root, 'docs/guides', file), 'utf8'))
    .join('\n');
  return [...page.matchAll(/^### (.+)\n[\s\S]*?```sql\n([\s\S]*?)```/gm)].map(([, from = '', sql = '']) => ({
    from,
    sql,
  }));
}

/** What the sample apps send, as it is held against their runs. */
function ofTheApps(): readonly Sent[] {
  const folder = join(root, 'test/wire/apps/forms');
  return readdirSync(folder).flatMap((file) =>
    readFileSync(join(folder, file), 'utf8')
      .split(/\n\n+/)
      .filter((form) => form.trim() !== '' && !form.startsWith('-- '))
      // A form tells a list of any length by its first item.
      .map((form) => ({ from: `${file}: ${form.slice(0, 60)}`, sql: form.replaceAll(', …', '') })),
  );
}

const known = (sql: string): string =>
  UNKNOWN_CONSTRUCTS.reduce((text, construct) => text.replaceAll(construct.text, construct.instead), sql);

const search = await TransactSqlGrammar.start();
if (!search.available) {
  if (process.env['REQUIRE_SERVICES'] === '1') {
    throw new Error(search.reason);
  }
  console.warn(search.reason);
}

describe.skipIf(!search.available)('the grammar of Transact-SQL', () => {
  const problemsIn = async (sql: string): Promise<readonly string[]> =>
    search.available ? search.value.problemsIn(sql) : [];
  const sent = [...ofThePages(), ...ofTheApps()];

  afterAll(async () => {
    if (search.available) {
      await search.value[Symbol.asyncDispose]();
    }
  });

  it('accepts every statement that is sent, but for the constructs that it does not know', async () => {
    const refused: Record<string, readonly string[]> = {};
    for (const { from, sql } of sent) {
      const problems = await problemsIn(known(sql));
      if (problems.length > 0) {
        refused[from] = problems;
      }
    }

    expect(sent.length).toBeGreaterThan(70);
    expect(refused).toEqual({});
  });

  it.each(UNKNOWN_CONSTRUCTS)('does not know $name, which is sent', async ({ text, example }) => {
    expect(await problemsIn(example)).not.toEqual([]);
    expect(await problemsIn(known(example))).toEqual([]);
    expect(sent.some(({ sql }) => sql.search(text) >= 0)).toBe(true);
  });

  it.each([
    'SELECT a, FROM [dbo].[stock];',
    'SELECT (a FROM [dbo].[stock];',
    'UPDATE [dbo].[stock] SET a = WHERE b = 1;',
    'SET TRANSACTION ISOLATION LEVEL SNAPSHOTS;',
    'CREATE TABLE [dbo].[t] (id bigint NOT NUL);',
    'SELECT a FROM [dbo].[stock] ORDER a;',
  ])('refuses what is wrong: %s', async (sql) => {
    expect(await problemsIn(sql)).not.toEqual([]);
  });
});
