import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../checkpoint/checkpoint.store.js';
import { type Circumstances, judge, positionOf, type Seen } from './judge.js';

const CHECKPOINT: Checkpoint = {
  consumer: 'c',
  source: 'db',
  table: 'dbo.stock',
  epoch: 4n,
  objectId: '7',
  beginVersion: 10n,
  schemaHash: 'hash',
  sinkInstance: 'broker',
  upToDateAtMs: null,
  phase: { kind: 'streaming', version: 50n, cursor: null },
};
const TABLE = { table: 'dbo.stock', objectId: '7', beginVersion: 10n, minValidVersion: 20n };
const SEEN: Seen = { epoch: 4n, currentVersion: 60n, table: TABLE };
const NOW: Circumstances = { schemaHash: 'hash', sinkInstance: 'broker' };

const reason = (seen: Partial<Seen> = {}, now: Partial<Circumstances> = {}, checkpoint: Checkpoint = CHECKPOINT) =>
  judge(checkpoint, positionOf(checkpoint), { ...SEEN, ...seen }, { ...NOW, ...now });

describe('judge', () => {
  it('lets a reader go on whose circumstances are the same', () => {
    expect(reason()).toBeNull();
    expect(reason({ currentVersion: 50n })).toBeNull();
    expect(reason({ table: { ...TABLE, minValidVersion: 50n } })).toBeNull();
  });

  it.each([
    ['newSinkInstance', {}, { sinkInstance: 'another' }],
    ['epochChanged', { epoch: 5n }, {}],
    ['epochChanged', { epoch: 3n }, {}],
    ['sourceRolledBack', { currentVersion: 49n }, {}],
    ['tableReplaced', { table: { ...TABLE, objectId: '8' } }, {}],
    ['tableTruncated', { table: { ...TABLE, beginVersion: 60n, minValidVersion: 60n } }, {}],
    ['checkpointExpired', { table: { ...TABLE, minValidVersion: 51n } }, {}],
    ['schemaChanged', {}, { schemaHash: 'another' }],
  ] as const)('answers %s', (expected, seen, now) => {
    expect(reason(seen, now)).toBe(expected);
  });

  it('notices a truncate of a table that is caught up, where the oldest valid version says nothing', () => {
    const truncated = { ...TABLE, beginVersion: 50n, minValidVersion: 50n };

    expect(reason({ currentVersion: 50n, table: truncated })).toBe('tableTruncated');
  });

  it('notices that the counter fell below a cursor, though not below the complete version', () => {
    const inside: Checkpoint = {
      ...CHECKPOINT,
      phase: { kind: 'streaming', version: 50n, cursor: { version: 55n, key: 'a' } },
    };

    expect(reason({ currentVersion: 54n }, {}, inside)).toBe('sourceRolledBack');
    expect(reason({ currentVersion: 55n }, {}, inside)).toBeNull();
  });

  it('judges a bootstrap by the version that it began at', () => {
    const scanning: Checkpoint = {
      ...CHECKPOINT,
      phase: { kind: 'bootstrap', reason: 'firstStart', fromVersion: 30n, afterKey: 'm' },
    };

    expect(reason({ table: { ...TABLE, minValidVersion: 30n } }, {}, scanning)).toBeNull();
    expect(reason({ table: { ...TABLE, minValidVersion: 31n } }, {}, scanning)).toBe('checkpointExpired');
  });
});
