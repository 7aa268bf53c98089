import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crc32cLoops } from './crc32c.loops.js';
import { crc32c, CRC32C_TABLES, crc32cInScript } from './crc32c.js';

/** Bit by bit, as the definition says. */
function slow(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
    }
  }
  return ~crc >>> 0;
}

describe('crc32c', () => {
  it('gives the known answers', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it('equals the definition for every range, and goes on from a part', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(), (bytes, a, b) => {
        const [start, end] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y);
        expect(crc32c(bytes, start, end)).toBe(slow(bytes.subarray(start, end)));
        expect(crc32c(bytes, start, bytes.length, crc32c(bytes, 0, start))).toBe(slow(bytes));
      }),
    );
  });

  it('is the same for larger pieces, which WebAssembly takes, whatever their length and where they begin', () => {
    const bytes = Buffer.alloc(400_000);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = (at * 2_654_435_761) >>> 13;
    }
    const lengths = [
      2_047, 2_048, 3_073, 8_191, 8_192, 8_193, 8_207, 9_001, 131_071, 131_072, 131_073, 133_119, 262_144, 399_980,
    ];
    for (const [start, length] of lengths.entries()) {
      const end = start + length;
      const expected = slow(bytes.subarray(start, end));
      expect(crc32c(bytes, start, end)).toBe(expected);
      expect(crc32cInScript(bytes, start, end, 0)).toBe(expected);
      const middle = start + (length >> 1);
      expect(crc32c(bytes, middle, end, crc32c(bytes, start, middle))).toBe(expected);
    }
  });

  it('forgets nothing and keeps nothing from one larger piece to the next', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 2_000, max: 20_000 }), fc.nat(255)), { maxLength: 6 }),
        (pieces) => {
          for (const [length, seed] of pieces) {
            const bytes = Uint8Array.from({ length }, (_, at) => Math.imul(at + seed, 2_654_435_761) >>> 24);
            expect(crc32c(bytes, 0, length, seed)).toBe(crc32cInScript(bytes, 0, length, seed));
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('takes larger pieces by a module that WebAssembly accepts', () => {
    expect(Crc32cLoops.create(CRC32C_TABLES)).toBeDefined();
  });
});
