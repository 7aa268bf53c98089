import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedEnvelopeError } from '../data-sync.errors.js';
import type { ChangeEnvelope, EnvelopeChange } from './change-envelope.js';
import { decodeEnvelope, encodeEnvelope } from './envelope.codec.js';

const envelope: ChangeEnvelope = {
  format: 1,
  kind: 'change',
  schemaVersion: 1,
  source: 'db',
  table: 'dbo.stock',
  key: 'stock/1',
  epoch: '3',
  version: '12',
  changes: [
    { pk: { id: 1 }, op: 'upsert', version: '12', columns: ['level'], row: { id: 1, level: '7.50', note: null } },
    { pk: { id: 2 }, op: 'delete', version: '11', columns: null, row: null },
  ],
  keysOnly: false,
  fence: '4',
  seq: '9',
  prevSeq: '8',
  origin: 'app',
  committedAt: '2026-01-31T23:45:00.000Z',
  resync: null,
};

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('the envelope', () => {
  it('is read back as it was written, whatever its changes hold', () => {
    const scalar = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    );
    // -0 has no text of its own in JSON; no source hands it out.
    const value = scalar.map((one) => (Object.is(one, -0) ? 0 : one));
    const row = fc.dictionary(
      fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
      value,
      { noNullPrototype: true },
    );
    const version = fc.bigInt({ min: 0n, max: 2n ** 80n - 1n });
    const change = fc.record({
      pk: row,
      op: fc.constantFrom('upsert' as const, 'snapshot' as const),
      version,
      columns: fc.option(fc.array(fc.string())),
      row,
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), fc.string({ minLength: 1 }), (changes, key) => {
        const highest = changes.reduce((top, one) => (one.version > top ? one.version : top), 0n);
        const given: ChangeEnvelope = {
          ...envelope,
          key,
          version: highest.toString(),
          changes: changes.map((one): EnvelopeChange => ({ ...one, version: one.version.toString() })),
        };
        expect(decodeEnvelope(encodeEnvelope(given))).toEqual(given);
      }),
    );
  });

  it('keeps versions above 2^53 to the digit', () => {
    const version = '9007199254740993';
    const change: EnvelopeChange = { pk: { id: 1 }, op: 'upsert', version, columns: null, row: null };
    expect(decodeEnvelope(encodeEnvelope({ ...envelope, version, changes: [change] })).version).toBe(version);
  });

  it.each<[string, unknown]>([
    ['another format', { ...envelope, format: 2 }],
    ['an unknown kind', { ...envelope, kind: 'gossip' }],
    ['a field that is missing', Object.fromEntries(Object.entries(envelope).filter(([name]) => name !== 'fence'))],
    ['a field that format 1 does not know', { ...envelope, extra: true }],
    ['a version that is a number', { ...envelope, version: 12 }],
    ['a version with leading zeros', { ...envelope, version: '012' }],
    ['a version that is not the highest', { ...envelope, version: '13' }],
    ['no key', { ...envelope, key: null }],
    ['no changes', { ...envelope, changes: [] }],
    ['a row on a delete', { ...envelope, changes: [{ ...envelope.changes[0], op: 'delete' }] }],
    ['a row in an envelope of keys', { ...envelope, keysOnly: true }],
    ['a value that is an object', { ...envelope, changes: [{ ...envelope.changes[0], row: { id: { $gt: 0 } } }] }],
    ['a resync in an envelope of changes', { ...envelope, resync: { state: 'started', reason: 'requested' } }],
    ['changes in a heartbeat', { ...envelope, kind: 'heartbeat' }],
    ['an instant without an offset', { ...envelope, committedAt: '2026-01-31T23:45:00.000' }],
    ['a previous number above its own', { ...envelope, prevSeq: '9' }],
    ['a list', [envelope]],
    ['null', null],
  ])('is refused with %s', (_what, given) => {
    expect(() => decodeEnvelope(text(given))).toThrow(MalformedEnvelopeError);
  });

  it('is refused when it is no JSON or no UTF-8, and the error shows nothing of it', () => {
    expect(() => decodeEnvelope(new TextEncoder().encode('secret{'))).toThrow(/^(?!.*secret).*the payload is no JSON/);
    expect(() => decodeEnvelope(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/the payload is no UTF-8/);
  });

  it('names the field that is wrong', () => {
    expect(() => decodeEnvelope(text({ ...envelope, changes: [{ ...envelope.changes[0], version: 'x' }] }))).toThrow(
      /changes\.0\.version/,
    );
  });
});
