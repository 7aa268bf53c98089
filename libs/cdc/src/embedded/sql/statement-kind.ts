/**
 * What a statement does to the transaction: `read` changes nothing; `outside` must not be put into a transaction of ours (`PRAGMA`,
 * `VACUUM`); `schema` is a `write` after which prepared statements are stale.
 */
export type StatementKind =
  'read' | 'write' | 'schema' | 'outside' | 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollbackTo' | 'release';

const LEADING = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|;)*([A-Za-z]+)/;
const ROLLBACK_TO = /^[^A-Za-z]*ROLLBACK\s+(?:TRANSACTION\s+)?TO\b/i;

const KINDS: Readonly<Record<string, StatementKind>> = Object.freeze({
  SELECT: 'read',
  VALUES: 'read',
  EXPLAIN: 'read',
  PRAGMA: 'outside',
  ATTACH: 'outside',
  DETACH: 'outside',
  VACUUM: 'outside',
  CREATE: 'schema',
  ALTER: 'schema',
  DROP: 'schema',
  REINDEX: 'schema',
  BEGIN: 'begin',
  COMMIT: 'commit',
  END: 'commit',
  SAVEPOINT: 'savepoint',
  RELEASE: 'release',
});

/** Judges by the first word; what it does not know counts as `write`, the careful answer. */
export function statementKind(sql: string): StatementKind {
  const word = LEADING.exec(sql)?.[1]?.toUpperCase() ?? '';
  if (word === 'ROLLBACK') {
    return ROLLBACK_TO.test(sql) ? 'rollbackTo' : 'rollback';
  }
  return KINDS[word] ?? 'write';
}
