import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefetchBudget } from './prefetch-budget.js';

describe('PrefetchBudget', () => {
  it('begins with as few as would fit if each were as large as a broker allows', () => {
    expect(new PrefetchBudget(64 * 1024 * 1024).room).toBe(12);
    expect(new PrefetchBudget(1_000).room).toBe(1);
  });

  it('lets one through while none is held, however large, and none beside it', () => {
    const budget = new PrefetchBudget(1_000);
    budget.took(5_000);
    expect(budget.room).toBe(0);
    budget.released(5_000);
    expect(budget.room).toBe(1);
  });

  it('never holds more than was allowed while messages are of one size, and is never stuck', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.array(fc.nat(20), { maxLength: 200 }),
        (size, maxBytes, steps) => {
          const budget = new PrefetchBudget(maxBytes);
          let held = 0;
          let onTheWay = 0;
          for (const step of steps) {
            onTheWay = Math.max(onTheWay, budget.room);
            const coming = Math.min(step, onTheWay);
            for (let index = 0; index < coming; index++) {
              budget.took(size);
            }
            held += coming;
            onTheWay -= coming;
            expect(budget.heldBytes).toBe(held * size);
            expect(held * size <= maxBytes || held === 1).toBe(true);
            const done = Math.min(held, step % 7);
            if (step % 2 === 0) {
              budget.releasedSome(done);
            } else {
              for (let index = 0; index < done; index++) {
                budget.released(size);
              }
            }
            held -= done;
          }
          budget.releasedSome(held);
          expect(budget.heldBytes).toBe(0);
          expect(budget.room).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('expects large ones at once when one has come, and small ones again little by little', () => {
    const budget = new PrefetchBudget(100_000);
    budget.took(100);
    budget.released(100);
    expect(budget.room).toBe(1_000);
    budget.took(50_000);
    budget.released(50_000);
    expect(budget.room).toBe(2);
    for (let index = 0; index < 200; index++) {
      budget.took(100);
      budget.released(100);
    }
    expect(budget.room).toBeGreaterThan(900);
  });
});
