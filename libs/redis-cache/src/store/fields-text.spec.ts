import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryVersion } from '../version/entry-version.js';
import { joinFields, splitFields } from './fields-text.js';

const field = fc.record({
  name: fc.string({ unit: 'binary' }),
  payload: fc.string({ unit: 'binary' }),
  version: fc.bigInt(0n, 1n << 79n).map((version) => new EntryVersion(1n, version)),
});

describe('the text of the fields of a hash', () => {
  it('gives back what was joined, whatever names and payloads hold', () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        expect(splitFields(joinFields(fields))).toEqual(fields);
      }),
    );
  });

  it.each(['hello', '1 1 ', `3 1 ${'0'.repeat(45)}ab1`, `${joinFields([])}1`])(
    'refuses what it did not join: %j',
    (text) => {
      expect(() => splitFields(text)).toThrow(TypeError);
    },
  );
});
