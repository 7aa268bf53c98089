import { describe, expect, it } from 'vitest';
import { InvalidCacheKeyError } from '../redis-cache.errors.js';
import { cacheKey, checkCacheKey } from './cache-key.js';
import { NamespaceNames } from './names.js';

describe('cache keys', () => {
  it.each([
    ['an empty one', ''],
    ['no text', 7],
    ['a space', 'a b'],
    ['a line break', 'a\nb'],
    ['a control character', 'a\u0000b'],
    ['a brace', 'a{b'],
    ['a star', 'a*'],
    ['a lone surrogate', 'a\uD800'],
    ['more than 512 bytes', 'ğ'.repeat(257)],
  ])('refuse %s', (_, key) => {
    expect(() => checkCacheKey(key)).toThrow(InvalidCacheKeyError);
  });

  it('take every printable character of ASCII but { } * and the space, and none that is not printed', () => {
    const taken = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).filter((character) => {
      try {
        checkCacheKey(`a${character}b`);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidCacheKeyError);
        return false;
      }
    });
    const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index));
    expect(taken).toEqual(printable.filter((character) => !' {}*'.includes(character)));
  });

  it('accept text of every language up to 512 bytes', () => {
    expect(() => checkCacheKey('ğ'.repeat(256))).not.toThrow();
    expect(() => checkCacheKey('epias/PP/İzmir-1/2026-01-01T00:00:00.000Z/😀')).not.toThrow();
  });

  it('do not repeat in an error what they were', () => {
    expect(() => checkCacheKey('secret 4711')).toThrow(/^(?!.*4711)/);
  });

  it('tell every list of segments apart and are accepted whatever the segments hold', () => {
    expect(cacheKey('a', 'b')).not.toBe(cacheKey('a:b'));
    expect(cacheKey('a:b', 'c')).not.toBe(cacheKey('a', 'b:c'));
    expect(cacheKey('100%', '{x}*', 'a b\n')).toBe('100%25:%7Bx%7D%2A:a%20b%0A');
    expect(() => cacheKey('a', '')).toThrow(InvalidCacheKeyError);
    expect(() => cacheKey('\uDC00')).toThrow(InvalidCacheKeyError);
  });

  it('keep everything of one key in one cluster slot and are read back only in their namespace', () => {
    const names = new NamespaceNames('shop', 'prices');
    expect(names.stored('a:b')).toBe('{shop:prices:a:b}:v');
    expect(names.key('{shop:prices:a:b}:v')).toBe('a:b');
    expect(names.key('{shop:other:a}:v')).toBeUndefined();
    expect(names.channel).toBe('shop:prices:!inv');
  });
});
