import { join } from 'node:path';
import { MssqlParameter } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { DedupeStatements, type Statement } from './dedupe-statements.js';

const [ID, TOKEN] = ['a'.repeat(64), 'b'.repeat(32)];
const statements = new DedupeStatements('mssql', 'dbo.smartpulse_dedupe');

interface Listed {
  readonly title: string;
  readonly when: string;
  readonly needs: string;
  readonly statement: Statement;
}

const LISTED: readonly Listed[] = [
  {
    title: 'Claim a message',
    when: 'Before its handler: of several that insert one key, the primary key refuses all but one.',
    needs: '`INSERT`',
    statement: statements.insert(ID, TOKEN, 1),
  },
  {
    title: 'Find a claim',
    when: 'After an insert that was refused.',
    needs: '`SELECT`',
    statement: statements.find(ID),
  },
  {
    title: 'Take over a claim',
    when: 'When the claim that was found is over.',
    needs: '`SELECT` and `UPDATE`',
    statement: statements.takeOver(ID, TOKEN, 2, 1),
  },
  {
    title: 'Complete a claim',
    when: 'After the handler.',
    needs: '`SELECT` and `UPDATE`',
    statement: statements.complete(ID, TOKEN, 2),
  },
  {
    title: 'Release a claim',
    when: 'After a handler that failed.',
    needs: '`SELECT` and `DELETE`',
    statement: statements.release(ID, TOKEN),
  },
  {
    title: 'Sweep',
    when: 'Once in `sweepEvery` claims, until it finds fewer than so many.',
    needs: '`SELECT` and `DELETE`',
    statement: statements.sweep(1, 1_000),
  },
];

function typeOf(parameter: unknown): string {
  if (!(parameter instanceof MssqlParameter)) {
    throw new TypeError('every parameter of the store says its type');
  }
  const [length] = parameter.params;
  return length === undefined ? parameter.type : `${parameter.type}(${length})`;
}

function listed({ title, when, needs, statement: { sql, parameters } }: Listed): string {
  const types = parameters.map((parameter, index) => `\`@${index} ${typeOf(parameter)}\``).join(', ');
  return [
    `### ${title}`,
    '',
    when,
    `Needs ${needs} on the table.`,
    `Parameters: ${types}.`,
    '',
    '```sql',
    sql,
    '```',
    '',
  ].join('\n');
}

const PAGE = `# Every statement of \`SqlDedupeStore\` for SQL Server

All text that the store of [\`@smartpulse/pulsar/typeorm\`](../../libs/pulsar/README.md) sends, with the rights that it needs. The list is written by
\`libs/pulsar/src/typeorm/dedupe-statements.spec.ts\`, so a statement that changes shows here. The name of the table is the entity's; everything else is a parameter. Who makes the table by
\`synchronize\` needs \`CREATE TABLE\` for it; the app that uses it does not.

${LISTED.map(listed).join('\n')}`;

describe('the statements of SqlDedupeStore for SQL Server', () => {
  it('are those of the page that lists them', async () => {
    await expect(PAGE).toMatchFileSnapshot(
      join(import.meta.dirname, '../../../../docs/guides/sql-server-dedupe-statements.md'),
    );
  });

  it('are all of them on the page', () => {
    const made = Object.getOwnPropertyNames(DedupeStatements.prototype).filter((name) => name !== 'constructor');
    expect(LISTED).toHaveLength(made.length);
  });
});
