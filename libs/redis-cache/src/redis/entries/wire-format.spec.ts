import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NamespaceNames } from '../../namespace/names.js';
import { EntryVersion } from '../../version/entry-version.js';
import { entryText, readEntry } from './entry-text.js';
import { SCRIPTS } from './scripts.js';
import { messageHead, plainMessage, readMessage } from '../messages/wire-message.js';

// What stands in a Redis that several releases of the library share while an app is rolled out. A change here is a change of the format: give it another
// number, let readers take both, and add to these texts instead of editing them.
const version = new EntryVersion(7n, 9_007_199_254_740_993n, 2n);
const VERSION = '000000000700000000090071992547409930000000002';
const END_MS = 1_764_000_000_000;
const NOW_MS = END_MS - 60_000;

describe('what stands in Redis', () => {
  it('names of keys and channels', () => {
    const names = new NamespaceNames('shop', 'prices');
    expect(names.stored('unit:17')).toBe('{shop:prices:unit:17}:v');
    expect(names.channel).toBe('shop:prices:!inv');
  });

  it.each([
    [
      'a value',
      'V',
      '{"eur":"12.30","note":"ğ€"}',
      { kind: 'value', version, payload: '{"eur":"12.30","note":"ğ€"}', ttlMs: 60_000 },
    ],
    ['a negative entry', 'N', '', { kind: 'negative', version, ttlMs: 60_000 }],
    ['a tombstone', 'T', '', { kind: 'tombstone', version, ttlMs: 60_000 }],
    ['a lease', 'L', 'QmFzZTY0dXJsLTIyLWNoYX', { kind: 'lease', floor: version, ttlMs: 60_000 }],
  ] as const)('the text of %s', (_, kind, rest, entry) => {
    const text = `1${kind}${VERSION}1764000000000${rest}`;
    expect(entryText(kind, version, END_MS, rest)).toBe(text);
    expect(readEntry(text, NOW_MS)).toEqual(entry);
  });

  it.each([
    ['of another format', `2V${VERSION}1764000000000{}`],
    ['of another kind', `1X${VERSION}1764000000000{}`],
    ['that is cut off', `1V${VERSION}17640`],
    ['whose version is none', `1V${VERSION.replace('7', 'x')}1764000000000{}`],
    ['of another program', 'hello'],
  ])('text %s counts as absent', (_, text) => {
    expect(readEntry(text, NOW_MS)).toBeUndefined();
  });

  it('messages, and what is read from them', () => {
    const origin = { source: 'replica-1', epoch: 'boot-1', sequence: 42 };
    expect(messageHead(origin)).toBe('1 replica-1 boot-1 42');
    expect(plainMessage(origin, 'heartbeat')).toBe('1 replica-1 boot-1 42 heartbeat - ');
    expect(plainMessage(origin, 'flush')).toBe('1 replica-1 boot-1 42 flush - ');
    expect(readMessage(`1 replica-1 boot-1 42 invalidate ${VERSION} {shop:prices:a b}:v.1764000000`)).toEqual({
      kind: 'news',
      origin,
      message: { source: 'replica-1', action: 'invalidate', key: '{shop:prices:a b}:v', version },
      generation: 1_764_000_000,
    });
    expect(readMessage('1 replica-1 boot-1 42 evict - {shop:prices:a}:v.3')).toMatchObject({
      message: { action: 'evict', key: '{shop:prices:a}:v', version: null },
    });
    expect(readMessage('1 replica-1 boot-1 42 void - {shop:prices:a}:v.3')).toEqual({ kind: 'void', origin });
    expect(readMessage('1 replica-1 boot-1 42 heartbeat - ')).toEqual({ kind: 'heartbeat', origin });
  });

  it.each([`2 replica-1 boot-1 42 set ${VERSION} k`, '1 replica-1 boot-1 42 explode - k', 'hello', ''])(
    'a message of another format or action is read by nobody: %j',
    (text) => {
      expect(readMessage(text)).toBeUndefined();
    },
  );

  it('scripts, by the hash under which servers know them', () => {
    const hashes = Object.entries(SCRIPTS).map(([name, lua]) => [name, createHash('sha1').update(lua).digest('hex')]);
    // Others may be added. One that changes has another name for its servers, and both run while an app is rolled out: they have to agree on what they store.
    expect(Object.fromEntries(hashes)).toMatchObject({
      smartpulseEvict: '0b6cc27dd442ef7151a6abee42d9fb7c78bbbf60',
      smartpulseGetOrLease: '15dc39abe118fe73f2d0db18cd8df6ccdd1d6a36',
      smartpulseInvalidate: '6446a113a49249d9bdff58a3118ee10968c434c5',
      smartpulseRefresh: '14294e1f104c599271b31a96101c03628be4bbb8',
      smartpulseRelease: '2c7aa1f14ad835343c60b7bb9466e072634800db',
      smartpulseRenew: 'bb107a351645b9ba568e7043679d61cf778db1ca',
      smartpulseSet: '21f5ee400d61ea3a5480a89c3bb22ce912d00904',
      smartpulseSweep: 'd14dc260c94cd03e0dc8060b40496f2fd8de1321',
    });
  });
});
