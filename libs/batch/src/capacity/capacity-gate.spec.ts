import { describe, expect, it } from 'vitest';
import { CapacityGate, type GateWaiter } from './capacity-gate.js';
import type { LinkedListMembership } from './linked-list.js';

class Waiter implements GateWaiter<Waiter> {
  previous: Waiter | undefined = undefined;
  next: Waiter | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;
  admitted = false;

  constructor(readonly weight: number) {}
}

function gateWith(capacityItems: number, capacityWeight: number, ...weights: number[]) {
  const gate = new CapacityGate<Waiter>(capacityItems, capacityWeight, (waiter) => {
    waiter.admitted = true;
  });
  const waiters = weights.map((weight) => new Waiter(weight));
  return { gate, waiters, admitted: () => waiters.map((waiter) => waiter.admitted) };
}

describe('CapacityGate', () => {
  it('gives room by items and by weight', () => {
    const { gate } = gateWith(2, 10);
    expect([gate.tryTake(6), gate.tryTake(5), gate.tryTake(4), gate.tryTake(0)]).toEqual([true, false, true, false]);
    expect([gate.items, gate.weight]).toEqual([2, 10]);
  });

  it('keeps the first in line first, however light the others are', () => {
    const { gate, waiters, admitted } = gateWith(10, 10, 9, 1);
    gate.tryTake(5);
    gate.tryTake(5);
    waiters.forEach((waiter) => gate.wait(waiter));
    gate.release(1, 5);
    expect(admitted()).toEqual([false, false]);
    expect(gate.tryTake(0)).toBe(false);
    gate.release(1, 5);
    expect(admitted()).toEqual([true, true]);
    expect([gate.items, gate.weight]).toEqual([2, 10]);
  });

  it('lets those behind in when the first in line leaves', () => {
    const { gate, waiters, admitted } = gateWith(10, 10, 9, 1, 1);
    gate.tryTake(8);
    waiters.forEach((waiter) => gate.wait(waiter));
    gate.leave(waiters[0] ?? new Waiter(0));
    expect(admitted()).toEqual([false, true, true]);
  });

  it('does not let fractions add up to a lost place', () => {
    const { gate } = gateWith(10, 1);
    [0.1, 0.2, 0.3].forEach((weight) => gate.tryTake(weight));
    [0.3, 0.1, 0.2].forEach((weight) => gate.release(1, weight));
    expect(gate.weight).toBe(0);
    expect(gate.tryTake(1)).toBe(true);
  });
});
