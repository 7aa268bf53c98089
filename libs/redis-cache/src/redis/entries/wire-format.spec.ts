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
    [
      'a value that is loaded anew',
      'R',
      '1764000005000QmFzZTY0dXJsLTIyLWNoYX\n{"a":\n1}',
      { kind: 'value', version, payload: '{"a":\n1}', ttlMs: 60_000 },
    ],
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

  it('ends of lives in whole milliseconds, none of them later than was asked for', () => {
    const entry = (atMs: number): string => entryText('T', EntryVersion.ZERO, atMs);
    expect(entry(1_000.9)).toBe(entry(1_000));
    expect(entry(1_000.9)).not.toBe(entry(1_001));
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

  it.each([
    `2 replica-1 boot-1 42 set ${VERSION} k`,
    '1 replica-1 boot-1 42 explode - k',
    `1  boot-1 42 set ${VERSION} k`,
    `1 replica-1  42 set ${VERSION} k`,
    `1 replica-1 boot-1 many set ${VERSION} k`,
    `1 replica-1 boot-1 42.5 set ${VERSION} k`,
    `1 replica-1 boot-1 42 set ${VERSION}`,
    '1 replica-1 boot-1 42 heartbeat',
    '1 replica-1 boot-1 42',
    '1 ',
    'hello',
    '',
  ])('a message of another format or action is read by nobody: %j', (text) => {
    expect(readMessage(text)).toBeUndefined();
  });

  it('scripts, by the hash under which servers know them', () => {
    const hashes = Object.entries(SCRIPTS).map(([name, lua]) => [name, createHash('sha1').update(lua).digest('hex')]);
    // Others may be added. One that changes has another name for its servers, and both run while an app is rolled out: they have to agree on what they store.
    expect(Object.fromEntries(hashes)).toMatchObject({
      smartpulseEvict: '71016067eccafe0d810ca99e20e9bf403726aedd',
      smartpulseGetOrLease: 'b6c9148074fd8275b34564354ae1e4da2014a15e',
      smartpulseHashGetOrLease: '39377b60c73e5f1838daa765d10c00b1a4f7d5ea',
      smartpulseHashInvalidate: '4370558ab8edfe6a31aec4326eee40cb44ac9150',
      smartpulseHashRefresh: '46f461ab356e98419f7885ec9d83d42d666fa332',
      smartpulseHashRelease: '5a0a813ab09ff5e9d438327998ff487bccb28bf7',
      smartpulseHashRenew: '29373c8cd7601c8965414e3ffb9b462d21cb9093',
      smartpulseHashSet: '275434016a9ac8f0161a4362be59f395eb49a47b',
      smartpulseHashSweep: 'f118f07db22bb6adcfd194c3e2e9358ea76c325f',
      smartpulseInvalidate: '24f4246f1e7a1623d3ac067470c1c8a72b5ab246',
      smartpulseRefresh: 'c3593904895fe982b86bd1bdde41483a4ca1c670',
      smartpulseRelease: 'e0dde827b90ff302fd2ca5ad45304e4f1771658b',
      smartpulseRenew: 'd2ae5e46bfb912bebc83de2b2980a0ac46cf1839',
      smartpulseSet: 'b3c6c84076ea1ab880e029cbfe4d0fe8dcfad759',
      smartpulseSetAll: '4562ab286c50508e1d0a6ad614200e014d2cb03b',
      smartpulseSetEach: '47e7c54e60927c79fb8669bcd948a4297b36efb2',
      smartpulseSetFields: '838fb68f9a0a00bdd0888352175f4dcd391002f9',
      smartpulseStamp: '55da36257608b7ffd1b7a569968c4a5ffdd6f528',
      smartpulseSweep: 'c6998ece05574a997196a7e8102281359c283e89',
    });
  });
});
