import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SettledPositions } from './settled-positions.js';

describe('SettledPositions', () => {
  it('covers a number only when every number below is settled, in whatever order they come', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 30 }, (_, index) => BigInt(index + 1)),
          { minLength: 1 },
        ),
        (order) => {
          const positions = new SettledPositions();
          order.forEach((seq) => positions.settle(1n, seq));
          const settled = new Set(order);
          let whole = 0n;
          while (settled.has(whole + 1n)) {
            whole++;
          }
          expect(positions.covers(1n, whole)).toBe(true);
          expect(positions.covers(1n, whole + 1n)).toBe(false);
        },
      ),
    );
  });

  it('begins anew with a higher fence and takes a lower one for settled', () => {
    const positions = new SettledPositions();
    positions.settle(1n, 1n);
    positions.settle(2n, 1n);
    expect(positions.covers(1n, 99n)).toBe(true);
    expect(positions.covers(2n, 1n)).toBe(true);
    expect(positions.covers(2n, 2n)).toBe(false);
    expect(positions.covers(3n, 1n)).toBe(false);
  });

  it('stays bounded when one number never comes', () => {
    const positions = new SettledPositions();
    for (let seq = 2n; seq <= 20_010n; seq++) {
      positions.settle(1n, seq);
    }
    expect(positions.covers(1n, 20_010n)).toBe(true);
  });

  it('stays quick where every other number goes to another replica', () => {
    const positions = new SettledPositions();
    for (let seq = 2n; seq <= 400_000n; seq += 2n) {
      positions.settle(1n, seq);
    }
    expect(positions.covers(1n, 370_001n)).toBe(true);
    expect(positions.covers(1n, 399_999n)).toBe(false);
  });
});
