import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HandledStamps } from './handled-stamps.js';

const at = (version: bigint, epoch = 1n) => ({ epoch, version });

describe('HandledStamps', () => {
  it('tells an older change from an equal and a newer one, epochs first', () => {
    const handled = new HandledStamps(10);
    handled.remember('a', at(5n, 2n));
    expect(handled.isBelow('a', at(4n, 2n))).toBe(true);
    expect(handled.isBelow('a', at(5n, 2n))).toBe(false);
    expect(handled.isBelow('a', at(9n, 1n))).toBe(true);
    expect(handled.isBelow('a', at(1n, 3n))).toBe(false);
    expect(handled.isBelow('b', at(1n, 1n))).toBe(false);
  });

  it('keeps the highest stamp of a key and no more keys than it may', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.bigInt({ min: 1n, max: 9n }))),
        (history) => {
          const handled = new HandledStamps(3);
          for (const [pk, version] of history) {
            handled.remember(pk, at(version));
          }
          expect(handled.size).toBeLessThanOrEqual(3);
        },
      ),
    );
    const handled = new HandledStamps(3);
    handled.remember('a', at(5n));
    handled.remember('a', at(3n));
    expect(handled.isBelow('a', at(4n))).toBe(true);
  });
});
