import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryVersion } from '../version/entry-version.js';
import { FirstLevel, type FirstLevelEntry } from './first-level.js';

const entry = (bytes: number, expiresAtMs = 1_000): FirstLevelEntry<string> => ({
  value: 'v',
  version: EntryVersion.ZERO,
  expiresAtMs,
  bytes,
});

describe('FirstLevel', () => {
  it('lets what was put first leave first, and spares once what was used since', () => {
    const level = new FirstLevel<string>({ maxEntries: 3, maxBytes: 1_000_000 });
    const held = (): string[] => ['a', 'b', 'c', 'd', 'e', 'f'].filter((key) => level.inspect(key) !== undefined);
    ['a', 'b', 'c'].forEach((key) => level.put(key, entry(1)));
    level.use('a', 0);
    level.put('d', entry(1));
    expect(held()).toEqual(['a', 'c', 'd']);
    level.put('e', entry(1));
    expect(held()).toEqual(['a', 'd', 'e']);
    level.put('f', entry(1));
    expect(held()).toEqual(['d', 'e', 'f']);
    ['d', 'e', 'f'].forEach((key) => level.use(key, 0));
    level.put('a', entry(1));
    expect(held()).toEqual(['a', 'e', 'f']);
  });

  it('is bounded by bytes too: what was not used leaves until there is room', () => {
    const level = new FirstLevel<string>({ maxEntries: 100, maxBytes: 4_000 });
    level.put('a', entry(1_000));
    level.put('b', entry(1_000));
    level.put('c', entry(1_000));
    level.use('a', 0);
    level.put('d', entry(1_000));
    expect(['a', 'b', 'c', 'd'].filter((key) => level.inspect(key) !== undefined)).toEqual(['a', 'c', 'd']);
    level.put('e', entry(2_500));
    expect(['a', 'c', 'd', 'e'].filter((key) => level.inspect(key) !== undefined)).toEqual(['d', 'e']);
    expect(level.evictions).toBe(3);
  });

  it('does not keep what is larger than the whole of it, and nothing else leaves for that', () => {
    const level = new FirstLevel<string>({ maxEntries: 100, maxBytes: 4_000 });
    level.put('a', entry(1_000));
    level.put('b', entry(1_000));
    level.put('b', entry(5_000));
    expect(level.inspect('b')).toBeUndefined();
    expect(level.inspect('a')).toBeDefined();
  });

  it('counts exactly the bytes of what it holds, and never exceeds a bound, whatever happens to it', () => {
    const key = fc.constantFrom('a', 'bb', 'ccc', 'dddd', 'eeeee');
    const step = fc.oneof(
      fc.record({ what: fc.constant('put'), key, bytes: fc.nat(3_000), lives: fc.boolean() }),
      fc.record({ what: fc.constant('use'), key, bytes: fc.constant(0), lives: fc.constant(true) }),
      fc.record({ what: fc.constantFrom('drop', 'clear'), key, bytes: fc.constant(0), lives: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const level = new FirstLevel<string>({ maxEntries: 3, maxBytes: 6_000 });
        for (const { what, key: at, bytes, lives } of steps) {
          if (what === 'put') level.put(at, entry(bytes, lives ? 1_000 : 0));
          else if (what === 'use') level.use(at, 500);
          else if (what === 'drop') level.drop(at);
          else level.clear();
          const held = ['a', 'bb', 'ccc', 'dddd', 'eeeee'].filter((one) => level.inspect(one) !== undefined);
          const sum = held.reduce((total, one) => total + 200 + one.length + (level.inspect(one)?.bytes ?? 0), 0);
          expect(level.bytes).toBe(sum);
          expect(level.size).toBe(held.length);
          expect(level.size <= 3 && level.bytes <= 6_000).toBe(true);
        }
      }),
    );
  });
});
