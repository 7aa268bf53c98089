import { describe, expect, it } from 'vitest';
import { statementKind } from './statement-kind.js';

describe('statementKind', () => {
  it.each([
    ['SELECT 1', 'read'],
    ['  -- a note\n /* and\n another */ select 1', 'read'],
    ['WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a', 'write'],
    ['insert into a values (1)', 'write'],
    ['CREATE TABLE a (b)', 'schema'],
    ['PRAGMA foreign_keys', 'outside'],
    ['BEGIN IMMEDIATE', 'begin'],
    ['COMMIT', 'commit'],
    ['END TRANSACTION', 'commit'],
    ['ROLLBACK', 'rollback'],
    ['ROLLBACK TO SAVEPOINT a', 'rollbackTo'],
    ['rollback transaction to a', 'rollbackTo'],
    ['RELEASE a', 'release'],
    ['SAVEPOINT a', 'savepoint'],
    ['', 'write'],
  ])('judges %j as %s', (sql, kind) => {
    expect(statementKind(sql)).toBe(kind);
  });
});
