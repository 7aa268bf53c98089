import { describe, expect, it } from 'vitest';
import { UnencodableValueError } from '../data-sync.errors.js';
import { wrongly } from '../testing/wrongly.js';
import { primaryKeyText, toWireRow, toWireValue } from './wire-value.js';

describe('a column value on the wire', () => {
  it('is text for big integers, base64 for binary, itself otherwise', () => {
    expect(
      toWireRow({ a: 9_007_199_254_740_993n, b: Uint8Array.of(1, 2, 255), c: '12.50', d: 1.5, e: false, f: null }),
    ).toEqual({
      a: '9007199254740993',
      b: 'AQL/',
      c: '12.50',
      d: 1.5,
      e: false,
      f: null,
    });
  });

  it('takes a view into a larger buffer for what it shows', () => {
    const large = Uint8Array.of(9, 9, 1, 2, 255, 9);
    expect(toWireValue('b', large.subarray(2, 5))).toBe('AQL/');
  });

  it.each<[string, unknown]>([
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['half of a surrogate pair', 'a\ud800'],
    ['an object', { toString: () => 'x' }],
    ['nothing', undefined],
  ])('is refused when it is %s', (_what, value) => {
    expect(() => toWireValue('level', wrongly(value))).toThrow(UnencodableValueError);
  });
});

describe('the identity of a row', () => {
  it('follows the order of the key and tells 1 from "1"', () => {
    expect(primaryKeyText(['a', 'b'], { b: 2, a: 1 })).toBe(primaryKeyText(['a', 'b'], { a: 1, b: 2 }));
    expect(primaryKeyText(['a'], { a: 1 })).not.toBe(primaryKeyText(['a'], { a: '1' }));
    expect(primaryKeyText(['a', 'b'], { a: 'x","y', b: 'z' })).not.toBe(
      primaryKeyText(['a', 'b'], { a: 'x', b: 'y","z' }),
    );
  });
});
