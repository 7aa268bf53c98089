import { describe, expect, it } from 'vitest';
import { InvalidEntryVersionError } from '../redis-cache.errors.js';
import { EntryVersion } from './entry-version.js';

describe('EntryVersion', () => {
  it('orders by epoch, then version, then minor, and so does its text', () => {
    const ordered = [
      EntryVersion.ZERO,
      new EntryVersion(0n, 0n, 1n),
      new EntryVersion(0n, 9_007_199_254_740_992n),
      new EntryVersion(0n, 9_007_199_254_740_993n),
      new EntryVersion(0n, (1n << 80n) - 1n),
      new EntryVersion(1n, 0n),
    ];
    for (const [index, lower] of ordered.entries()) {
      expect(lower.compare(lower)).toBe(0);
      for (const higher of ordered.slice(index + 1)) {
        expect(lower.compare(higher)).toBe(-1);
        expect(higher.compare(lower)).toBe(1);
        expect(lower.toString() < higher.toString()).toBe(true);
        expect(EntryVersion.max(lower, higher)).toBe(higher);
      }
    }
  });

  it('reads the text that it writes', () => {
    const version = new EntryVersion(7n, 123_456_789_012_345_678_901n, 3n);
    expect(version.toString()).toHaveLength(45);
    expect(EntryVersion.parse(version.toString())).toEqual(version);
    expect(JSON.stringify({ version })).toBe(`{"version":"${version.toString()}"}`);
  });

  it('refuses parts and texts that are out of range', () => {
    expect(() => new EntryVersion(-1n, 0n)).toThrow(InvalidEntryVersionError);
    expect(() => new EntryVersion(0n, 1n << 80n)).toThrow(InvalidEntryVersionError);
    expect(() => EntryVersion.parse('12')).toThrow(InvalidEntryVersionError);
    expect(() => EntryVersion.parse('x'.repeat(45))).toThrow(InvalidEntryVersionError);
  });
});
