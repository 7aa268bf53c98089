import { describe, expect, it } from 'vitest';
import { EmbeddedStatementError } from '../embedded.errors.js';
import { toSafeNumber, toSqlInput } from './sql-value.js';

describe('toSqlInput', () => {
  it('gives every value the form that SQLite stores', () => {
    expect([true, false, undefined, null, 7, 7.5, 7n, 'a'].map(toSqlInput)).toEqual([
      1n,
      0n,
      null,
      null,
      7n,
      7.5,
      7n,
      'a',
    ]);
    expect(toSqlInput(new Date('2026-01-31T23:45:00.120Z'))).toBe('2026-01-31 23:45:00.120');
    expect(toSqlInput(new Uint8Array([1]))).toEqual(new Uint8Array([1]));
  });

  it('refuses an object, which node:sqlite would take for named parameters', () => {
    expect(() => toSqlInput({ a: 1 })).toThrow(EmbeddedStatementError);
    expect(() => toSqlInput([1])).toThrow(EmbeddedStatementError);
    expect(() => toSqlInput(Symbol('a'))).toThrow(EmbeddedStatementError);
  });
});

describe('toSafeNumber', () => {
  it('keeps as a bigint only what a number would lose digits of', () => {
    expect(
      [5n, -5n, 9_007_199_254_740_991n, 9_007_199_254_740_992n, -9_007_199_254_740_992n].map(toSafeNumber),
    ).toEqual([5, -5, 9_007_199_254_740_991, 9_007_199_254_740_992n, -9_007_199_254_740_992n]);
  });
});
