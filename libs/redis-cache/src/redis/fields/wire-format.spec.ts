import { describe, expect, it } from 'vitest';
import { NamespaceNames } from '../../namespace/names.js';
import { joinFields } from '../../store/fields-text.js';
import { EntryVersion } from '../../version/entry-version.js';
import { fieldText, HASHES, readField, readHeader } from './hash-text.js';

// As for values: what stands here is read and written by several releases at once. A change is another format, with a number of its own.
const version = new EntryVersion(7n, 9_007_199_254_740_993n);
const VERSION = '000000000700000000090071992547409930000000000';
const NEWER = '000000000700000000090071992547409940000000000';
const END = '1764000000000';
const NEVER = '0000000000000';
const NOW_MS = 1_764_000_000_000 - 60_000;
const stored = { '': `1H${VERSION}${END}0000000003`, PP: `1V${NEWER}${NEVER}{"eur":"ğ€"}`, gone: `1T${NEWER}${NEVER}` };

describe('what stands in Redis for a hash', () => {
  it('its name', () => {
    expect(new NamespaceNames('shop', 'prices', 'f').stored('unit:17')).toBe('{shop:prices:unit:17}:f');
  });

  it('a header, and fields with versions of their own', () => {
    const entry = HASHES.read(stored, NOW_MS);
    const payload = joinFields([
      { name: 'PP', version: new EntryVersion(7n, 9_007_199_254_740_994n), payload: '{"eur":"ğ€"}' },
    ]);
    expect(entry).toEqual({
      kind: 'value',
      version: new EntryVersion(7n, 9_007_199_254_740_993n, 3n),
      payload,
      ttlMs: 60_000,
    });
    expect(HASHES.read(Object.entries(stored).flat(), NOW_MS)).toEqual(entry);
  });

  it('what a loader writes', () => {
    const payload = joinFields([{ name: 'PP', version, payload: '1' }]);
    const write = { key: 'k', channel: 'c', source: 's', synced: true, version, ttlMs: 1 };
    expect(HASHES.write({ ...write, payload }, 1_764_000_000_000)).toEqual([
      `1H${VERSION}${END}0000000000`,
      'PP',
      `1V${VERSION}${NEVER}1`,
    ]);
    expect(HASHES.write({ ...write, payload: null }, 1_764_000_000_000)).toEqual([`1N${VERSION}${END}`]);
  });

  it.each([
    ['a field', '1', undefined, `1V${VERSION}${NEVER}1`, { version, payload: '1', ttlMs: Infinity }],
    [
      'a field with a life of its own',
      '1',
      1_764_000_000_000,
      `1V${VERSION}${END}1`,
      { version, payload: '1', ttlMs: 60_000 },
    ],
    ['the tombstone of a field', null, undefined, `1T${VERSION}${NEVER}`, undefined],
  ] as const)('the text of %s', (_, payload, endsAtMs, text, read) => {
    expect(fieldText(version, payload, endsAtMs)).toBe(text);
    expect(readField(text, NOW_MS)).toEqual(read);
  });

  it.each([
    ['a header of another format', { ...stored, '': `2H${VERSION}${END}0000000003` }],
    ['a header of a value', { ...stored, '': `1V${VERSION}${END}` }],
    ['a hash of another program', { name: 'hello' }],
    ['nothing', {}],
  ])('%s counts as absent', (_, hash) => {
    expect(HASHES.read(hash, NOW_MS)).toBeUndefined();
  });

  it.each(['N', 'T', 'L'] as const)('a key that has no fields says so in its header: %s', (kind) => {
    expect(readHeader(`1${kind}${VERSION}${END}`, NOW_MS)?.kind).toBe(
      { N: 'negative', T: 'tombstone', L: 'lease' }[kind],
    );
  });

  it('a field that cannot be read is none', () => {
    expect(readField(`2V${VERSION}${NEVER}1`, NOW_MS)).toBeUndefined();
    expect(readField('hello', NOW_MS)).toBeUndefined();
  });
});
