import { DatabaseSync } from 'node:sqlite';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SqlValue, toSqlInput } from '../sql/sql-value.js';
import { keyTextSql, parseKeyText } from './key-text.js';

const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  // A well-formed text: SQLite keeps UTF-8, which has no lone surrogates.
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', ',', '"', '\\', '\u0000', 'a\u0000b', 'NULL', 'x"00"', '","', "it's", '\u{1F32C}', '\u2028'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((real) => (Number.isSafeInteger(real) ? 0.5 : real)),
  fc.uint8Array(),
  fc.constant(null),
);

describe('key text', () => {
  it('finds the very values of a key again, and gives no two keys one text', () => {
    const database = new DatabaseSync(':memory:');
    const statement = database.prepare(
      `SELECT ${keyTextSql('t', ['a', 'b'])} AS text FROM (SELECT ? AS a, ? AS b) AS t`,
    );
    const textOf = (key: readonly SqlValue[]): string => String(statement.get(...key.map(toSqlInput))?.['text']);

    fc.assert(
      fc.property(fc.tuple(value, value), fc.tuple(value, value), (first, second) => {
        expect(parseKeyText(textOf(first))).toEqual(first);
        expect(textOf(first)).not.toBe('');
        expect(textOf(first) === textOf(second)).toBe(JSON.stringify(show(first)) === JSON.stringify(show(second)));
      }),
      { numRuns: 2_000 },
    );
    database.close();
  });

  it('refuses a text that is none', () => {
    expect(() => parseKeyText('"open')).toThrow('Not the text of a primary key');
  });
});

const show = (key: readonly SqlValue[]) =>
  key.map((each) => (each instanceof Uint8Array ? ['bytes', ...each] : [typeof each, String(each)]));
