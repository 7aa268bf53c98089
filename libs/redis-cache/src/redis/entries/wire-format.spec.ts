import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NamespaceNames } from '../../namespace/names.js';
import { EntryVersion } from '../../version/entry-version.js';
import { entryText, readEntry } from './entry-text.js';
import { SCRIPTS } from './commands.js';
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
      smartpulseEvict: '71016067eccafe0d810ca99e20e9bf403726aedd',
      smartpulseGetOrLease: 'f9512929d32b0f023179dd5b048fb231663136d5',
      smartpulseHashGetOrLease: 'bb7f132789924ac72b68d0d45ebadeec41338900',
      smartpulseHashInvalidate: 'eaa6a7266464c78eb8910bd7873f80ba8f1e8a11',
      smartpulseHashRefresh: 'ab51d3a371d3b031133a72135bea533d215b1a83',
      smartpulseHashRelease: '384ad3b870a0f2ec8377a41f9c0ca6498db70247',
      smartpulseHashRenew: '944da88d67fee3c98d87245788d4ebe91160a392',
      smartpulseHashSet: '2e22ee837b55e36f1f7fc79bc316b5d60b79aabf',
      smartpulseHashSweep: 'be6122ed34d99c96f1c6a4f96f695068f3fcad1a',
      smartpulseInvalidate: 'fe244db38f4b308635555126677c26755f1dc3d4',
      smartpulseRefresh: '0d3fd4fd87f94d87b161483ec4bf5256700d06df',
      smartpulseRelease: 'ba36e08dbf0b5f90da3be5cceca362555805a76f',
      smartpulseRenew: '1ff64610ceb8da30c271f716041494782ecfed25',
      smartpulseSet: 'ee26ceae3a02df6467c811e5e574690ced2a6506',
      smartpulseSetFields: 'd59bc4448dde134bb42805507f364885fdd5e4d0',
      smartpulseSweep: '4426ccfba28645b719ca8438f602c5fd412e8a2d',
    });
  });
});
