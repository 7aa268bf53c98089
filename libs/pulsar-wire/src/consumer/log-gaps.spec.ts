import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HandedOutId } from './handed-out-id.js';
import { SkippedEntries } from './skipped-entries.js';

/** What one doubt may cost: everything is given back twice, then it registers anew. */
const ASKS = 3;

function idOf(entry: number): HandedOutId {
  return new HandedOutId(7n, BigInt(entry), -1, -1, 0, undefined);
}

describe('entries that a broker skips in a log with gaps', () => {
  let asks: ('giveBack' | 'registerAnew')[];
  let skipped: SkippedEntries;

  beforeEach(() => {
    asks = [];
    skipped = new SkippedEntries({
      clock: new VirtualClock(),
      isReceiving: () => false,
      end: () => expect.unreachable(),
      onSkipped: (again) => void asks.push(again),
    });
  });

  afterEach(() => skipped.sought());

  /** @returns those that are dropped. */
  function come(...entries: readonly number[]): number[] {
    return entries.filter((entry) => {
      const id = idOf(entry);
      const isDropped = skipped.precede(id);
      if (!isDropped) {
        skipped.hold(id);
      }
      return isDropped;
    });
  }

  /** 2 is no entry: it is asked for by all means, once. */
  function prove(): void {
    come(0, 1);
    for (let time = 0; time < ASKS; time++) {
      skipped.givenBack();
      expect(come(0, 1, 3)).toEqual([3]);
    }
    expect(asks).toEqual(['giveBack', 'giveBack', 'registerAnew']);
    skipped.reset();
    expect(come(0, 1, 3)).toEqual([]);
  }

  it('are noticed behind one that is known', () => {
    prove();
    skipped.givenBack();

    expect([come(0, 1, 3, 4, 6), asks.length]).toEqual([[6], ASKS + 1]);
  });

  it('are not asked for in those that are known, after a connection was lost or another consumer had its turn', () => {
    prove();
    come(6, 7);
    for (const begin of [
      () => skipped.reset(),
      () => [false, true].forEach((isActive) => skipped.activeChanged(isActive)),
    ]) {
      begin();
      come(0);
      skipped.givenBack();
      expect([come(0, 1, 3, 6, 7), asks.length]).toEqual([[], ASKS]);
      skipped.reset();
      come(0, 1);
      skipped.givenBack();
      // Between two gaps an entry is missing.
      expect([come(0, 1, 6), asks.length]).toEqual([[6], ASKS + 1]);
      asks.pop();
    }
  });

  it('are found in what was asked for, where the gap is only a part of it', () => {
    come(0);
    skipped.givenBack();
    expect(come(0, 9)).toEqual([9]);
    skipped.reset();
    expect(come(0, 3, 4, 9)).toEqual([]);
    skipped.reset();
    come(0);
    skipped.givenBack();
    expect([come(0, 3, 4, 9), asks.length]).toEqual([[], 1]);
    skipped.reset();
    come(0);
    skipped.givenBack();
    expect([come(0, 9), asks.length]).toEqual([[9], 2]);
  });

  it('are asked for again where a seek begins, or an entry of the gap came after all', () => {
    prove();
    skipped.sought();
    come(0, 1);
    skipped.givenBack();
    expect(come(0, 1, 3)).toEqual([3]);
    skipped.reset();
    come(0, 1, 3);
    skipped.reset();
    come(0, 1, 2);
    skipped.reset();
    come(0, 1);
    skipped.givenBack();
    expect(come(0, 1, 3)).toEqual([3]);
  });

  it('are looked for in bounded memory, however many gaps there are', () => {
    for (let entry = 0; entry < 10_000; entry += 2) {
      const id = idOf(entry);
      skipped.precede(id);
      skipped.hold(id);
      id.noteAcknowledged();
      skipped.acknowledged();
    }
    expect(skipped.size).toBeLessThanOrEqual(64);
  });
});
