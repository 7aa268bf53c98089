import { describe, expect, it } from 'vitest';
import type { ChangeCursor, ChangePage } from '../source/change.source.js';
import { positionAfter, tieDepthAfter } from './keyset.js';

function page(upperVersion: bigint, ...places: readonly (readonly [bigint, string])[]): ChangePage {
  const cursors: ChangeCursor[] = places.map(([version, key]) => ({ version, key }));
  return {
    epoch: 1n,
    upperVersion,
    state: { table: 'dbo.stock', objectId: '1', beginVersion: 0n, minValidVersion: 0n },
    cursors,
    changes: cursors.map(({ version }) => ({
      source: 'db',
      table: 'dbo.stock',
      operation: 'upsert',
      primaryKey: { id: 1 },
      version: { epoch: 1n, version },
      changedColumns: null,
      row: { id: 1 },
      origin: null,
      committedAtMs: null,
    })),
  };
}

describe('positionAfter', () => {
  it('completes only versions strictly below the last row of a full page', () => {
    const next = positionAfter({ version: 3n, cursor: null }, page(20n, [5n, 'a'], [8n, 'a'], [9n, 'a'], [9n, 'b']), 4);

    expect(next).toEqual({ version: 8n, cursor: { version: 9n, key: 'b' } });
  });

  it('keeps the complete version while pages end inside the same version', () => {
    const next = positionAfter({ version: 3n, cursor: { version: 9n, key: 'b' } }, page(20n, [9n, 'c'], [9n, 'd']), 2);

    expect(next).toEqual({ version: 3n, cursor: { version: 9n, key: 'd' } });
  });

  it("counts the old cursor's version as complete when a full page begins above it", () => {
    const next = positionAfter(
      { version: 3n, cursor: { version: 9n, key: 'b' } },
      page(20n, [12n, 'a'], [12n, 'b']),
      2,
    );

    expect(next).toEqual({ version: 9n, cursor: { version: 12n, key: 'b' } });
  });

  it('moves to the upper version after a short page, and clears the cursor', () => {
    const next = positionAfter({ version: 3n, cursor: { version: 9n, key: 'b' } }, page(20n, [9n, 'c']), 2);

    expect(next).toEqual({ version: 20n, cursor: null });
  });

  it('moves a quiet table to the upper version, so that clean-up never overtakes it', () => {
    expect(positionAfter({ version: 3n, cursor: null }, page(20n), 2)).toEqual({ version: 20n, cursor: null });
  });
});

describe('tieDepthAfter', () => {
  it('counts the rows of one version over several pages and forgets them at its end', () => {
    const start = { version: 3n, cursor: null };
    const first = page(20n, [5n, 'a'], [9n, 'a'], [9n, 'b']);
    const afterFirst = positionAfter(start, first, 3);
    const depth = tieDepthAfter(0, start, first, afterFirst);
    const second = page(20n, [9n, 'c'], [9n, 'd'], [9n, 'e']);
    const afterSecond = positionAfter(afterFirst, second, 3);
    const deeper = tieDepthAfter(depth, afterFirst, second, afterSecond);
    const last = page(20n);

    expect([depth, deeper]).toEqual([2, 5]);
    expect(tieDepthAfter(deeper, afterSecond, last, positionAfter(afterSecond, last, 3))).toBe(0);
  });
});
