import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Condition, type Expression, type Statement } from './ast.js';
import { parseBatch } from './parse-batch.js';

const names = fc.constantFrom('a', 'b c', 'select', 'x]y', 'Ünal');
const literals = fc.oneof(
  fc.bigInt({ min: 0n, max: 2_147_483_647n }).map((value) => `${value}`),
  fc.constantFrom("N'it''s'", "''", '0xAB', 'NULL', '1.50', '@p'),
);

interface Shape {
  readonly expression: Expression;
  readonly condition: Condition;
}

const { expression, condition }: fc.LetrecValue<Shape> = fc.letrec((tie: fc.LetrecTypedTie<Shape>) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    literals.map((text) => expressionOf(text)),
    fc.array(names, { minLength: 1, maxLength: 2 }).map((parts) => ({ kind: 'column', parts }) as const),
    fc
      .tuple(fc.constantFrom('+', '-', '*', '/', '%'), tie('expression'), tie('expression'))
      .map(([operator, left, right]) => ({ kind: 'arithmetic', operator, left, right }) as const),
    fc
      .tuple(tie('condition'), tie('expression'), fc.option(tie('expression'), { nil: undefined }))
      .map(
        ([when, value, otherwise]) =>
          ({ kind: 'case', operand: undefined, branches: [{ when, value }], otherwise }) as const,
      ),
    fc
      .array(tie('expression'), { maxLength: 2 })
      .map((args) => ({ kind: 'call', name: 'coalesce', args, star: false, distinct: false }) as const),
  ),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(fc.constantFrom('=', '<>', '<', '>='), tie('expression'), tie('expression'))
      .map(([operator, left, right]) => ({ kind: 'compare', operator, left, right }) as const),
    fc
      .tuple(fc.constantFrom('and', 'or'), tie('condition'), tie('condition'))
      .map(([kind, left, right]) => ({ kind, left, right })),
    tie('condition').map((operand) => ({ kind: 'not', operand }) as const),
    fc
      .tuple(tie('expression'), fc.boolean())
      .map(([operand, negated]) => ({ kind: 'isNull', operand, negated }) as const),
    fc
      .tuple(tie('expression'), fc.array(tie('expression'), { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([operand, list, negated]) => ({ kind: 'in', operand, list, negated }) as const),
  ),
}));

describe('the parser', () => {
  it('reads every expression and condition back as it was written', () => {
    fc.assert(
      fc.property(expression, condition, (value, test) => {
        const sql = `SELECT ${written(value)} FROM t WHERE ${writtenCondition(test)}`;
        const [statement] = parseBatch(sql);
        expect(partsOf(statement)).toEqual({ value, test });
      }),
      { numRuns: 300 },
    );
  });

  it('takes any blanks, comments and case between the words, and the same in one line or many', () => {
    const words = ['SELECT', 'TOP', '(', '2', ')', '[a]', 'FROM', 'dbo', '.', 't', 'WHERE', 'x', '>=', "N'y'", ';'];
    const gaps = fc.constantFrom(' ', '\n', '\t ', '/* a /* b */ c */', '-- note\n', '\r\n');
    const plain = stripped(parseBatch(words.join(' ')));
    fc.assert(
      fc.property(
        fc.array(gaps, { minLength: words.length, maxLength: words.length }),
        fc.boolean(),
        (between, lower) => {
          const sql = words.map(
            (word, at) => `${lower && !word.includes("'") ? word.toLowerCase() : word}${between[at]}`,
          );
          expect(stripped(parseBatch(sql.join('')))).toEqual(plain);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('says where the first mistake is, whatever stands before it', () => {
    fc.assert(
      fc.property(fc.nat(20), (lines) => {
        const sql = `${'SELECT 1;\n'.repeat(lines)}SELECT * FROM WHERE`;
        expect(() => parseBatch(sql)).toThrow("Incorrect syntax near the keyword 'WHERE'.");
        try {
          parseBatch(sql);
        } catch (error) {
          expect(error).toMatchObject({ details: { number: 156, line: lines + 1 } });
        }
      }),
      { numRuns: 20 },
    );
  });
});

function expressionOf(text: string): Expression {
  return partsOf(parseBatch(`SELECT ${text} FROM t WHERE 1 = 1`)[0]).value;
}

function partsOf(statement: Statement | undefined): { readonly value: Expression; readonly test: Condition } {
  const body = statement?.kind === 'query' ? statement.query.body : undefined;
  const item = body?.kind === 'select' ? body.items[0] : undefined;
  if (body?.kind !== 'select' || item?.kind !== 'value' || body.where === undefined) {
    throw new Error('no SELECT');
  }
  return { value: item.value, test: body.where };
}

function stripped(statements: readonly Statement[]): readonly unknown[] {
  return statements.map(({ line: _line, text: _text, ...rest }) => rest);
}

function written(value: Expression): string {
  if (value.kind === 'literal') {
    return literalText(value);
  }
  if (value.kind === 'variable') {
    return value.name;
  }
  if (value.kind === 'column') {
    return value.parts.map((part) => `[${part.replaceAll(']', ']]')}]`).join('.');
  }
  if (value.kind === 'arithmetic') {
    return `(${written(value.left)} ${value.operator} ${written(value.right)})`;
  }
  if (value.kind === 'case') {
    const branches = value.branches.map(
      (one) => `WHEN ${writtenCondition(one.when as Condition)} THEN ${written(one.value)}`,
    );
    const otherwise = value.otherwise === undefined ? '' : ` ELSE ${written(value.otherwise)}`;
    return `CASE ${branches.join(' ')}${otherwise} END`;
  }
  return value.kind === 'call' ? `${value.name}(${value.args.map(written).join(', ')})` : '';
}

function literalText({ value, type }: Expression & { readonly kind: 'literal' }): string {
  if (value === null) {
    return 'NULL';
  }
  if (value instanceof Uint8Array) {
    return `0x${Buffer.from(value).toString('hex')}`;
  }
  const prefix = type.name === 'nvarchar' ? 'N' : '';
  return typeof value === 'string' && type.name !== 'decimal'
    ? `${prefix}'${value.replaceAll("'", "''")}'`
    : String(value);
}

function writtenCondition(test: Condition): string {
  switch (test.kind) {
    case 'compare':
      return `${written(test.left)} ${test.operator} ${written(test.right)}`;
    case 'and':
    case 'or':
      return `(${writtenCondition(test.left)}) ${test.kind.toUpperCase()} (${writtenCondition(test.right)})`;
    case 'not':
      return `NOT (${writtenCondition(test.operand)})`;
    case 'isNull':
      return `${written(test.operand)} IS ${test.negated ? 'NOT ' : ''}NULL`;
    case 'in':
      return `${written(test.operand)} ${test.negated ? 'NOT ' : ''}IN (${(test.list as readonly Expression[]).map(written).join(', ')})`;
    case 'like':
    case 'between':
    case 'exists':
    default:
      return '';
  }
}

describe('the page of all statements that change capture sends', () => {
  const page = readFileSync(
    join(import.meta.dirname, '../../../../../../docs/guides/sql-server-statements.md'),
    'utf8',
  );
  const sent = [...page.matchAll(/^### (.+)\n[\s\S]*?```sql\n([\s\S]*?)```/gm)];

  it.each(sent.map(([, title = '', sql = '']) => [title, sql] as const))('is understood: %s', (_title, sql) => {
    expect(parseBatch(sql).length).toBeGreaterThan(0);
  });
});
