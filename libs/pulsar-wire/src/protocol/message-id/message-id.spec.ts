import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidMessageIdError } from '../../pulsar-wire.errors.js';
import { MessageId } from './message-id.js';

const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const index = fc.integer({ min: -1, max: 0x7fff_ffff });
const ids = fc.tuple(long, long, index, index).map((parts) => new MessageId(...parts));

describe('MessageId', () => {
  it('survives its text and its bytes', () => {
    fc.assert(
      fc.property(ids, (id) => {
        expect(MessageId.parse(String(id)).equals(id)).toBe(true);
        expect(MessageId.fromBytes(id.toBytes()).equals(id)).toBe(true);
      }),
    );
  });

  it('is told by its own place, whichever was told before', () => {
    const near = fc.tuple(
      fc.bigInt(0n, 1n),
      fc.bigInt(0n, 1n),
      fc.integer({ min: -1, max: 0 }),
      fc.integer({ min: -1, max: 1 }),
    );
    fc.assert(
      fc.property(fc.array(near, { maxLength: 20 }), (list) => {
        const told = list.map((parts) => String(new MessageId(...parts)));
        expect(told).toEqual(list.map((parts) => (parts[3] < 0 ? parts.slice(0, 3) : parts).join(':')));
      }),
    );
  });

  it('has one order, in which earliest is first and latest last', () => {
    const near = fc.tuple(
      fc.bigInt(0n, 2n),
      fc.bigInt(0n, 2n),
      fc.integer({ min: -1, max: 1 }),
      fc.integer({ min: -1, max: 1 }),
    );
    fc.assert(
      fc.property(fc.array(near, { maxLength: 30 }), (list) => {
        const sorted = list.map((parts) => new MessageId(...parts)).sort((a, b) => a.compareTo(b));
        for (const [at, id] of sorted.entries()) {
          expect(MessageId.earliest.compareTo(id)).toBeLessThan(0);
          expect(MessageId.latest.compareTo(id)).toBeGreaterThan(0);
          expect(sorted[at + 1]?.compareTo(id) ?? 0).toBeGreaterThanOrEqual(0);
        }
      }),
    );
    expect(new MessageId(1n, 2n, -1, 9).compareTo(new MessageId(1n, 10n, -1, 0))).toBeLessThan(0);
  });

  it.each(['', '1', '1:2', '1:2:3:4:5', 'a:b:c', '1:2:99999999999', '9223372036854775808:1:1', ' 1:2:3', '1:2:3:'])(
    'refuses the text "%s"',
    (text) => {
      expect(() => MessageId.parse(text)).toThrow(InvalidMessageIdError);
    },
  );

  it('refuses bytes that are none', () => {
    for (const bytes of [[], [0x08, 1], [0xff], [0x08, 1, 0x10]]) {
      expect(() => MessageId.fromBytes(Uint8Array.from(bytes))).toThrow(InvalidMessageIdError);
    }
  });
});
