import { describe, expect, it } from 'vitest';
import { KeyLedger } from './key-ledger.js';

describe('KeyLedger', () => {
  it('forgets the key that came longest ago, and counts it', () => {
    const ledger = new KeyLedger(2);
    ['a', 'b', 'a', 'c'].forEach((key) => ledger.add(key));
    expect(ledger.list()).toEqual(['a', 'c']);
    expect(ledger.forgotten).toBe(1);
  });
});
