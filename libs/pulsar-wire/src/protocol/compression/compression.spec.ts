import { deflateSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecompressionError, UnencodableValueError } from '../../pulsar-wire.errors.js';
import { COMPRESSION, decompress } from './compression.js';
import { Compressor } from './compressor.js';

const kinds = Object.entries(COMPRESSION).filter(([name]) => name !== 'none');

/** Bytes with repetitions near and far, and runs without any. */
const texts = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .tuple(fc.nat(255), fc.integer({ min: 1, max: 5_000 }))
        .map(([byte, count]) => new Uint8Array(count).fill(byte)),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 4_000 }))
        .map(([part, count]) => Buffer.concat(Array<Uint8Array>(count).fill(part))),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.concat(parts));

describe('compression', () => {
  it.each(kinds)('%s gives back what it took, from empty to large', (_name, code) => {
    const compressor = new Compressor();
    fc.assert(
      fc.property(texts, (text) => {
        const packed = compressor.compress(code, text);
        expect(decompress(code, packed, text.length).equals(text)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it.each(kinds)('%s refuses every other size than the announced one', (_name, code) => {
    const text = Buffer.from('a text that repeats itself, a text that repeats itself, and so on');
    const packed = new Compressor().compress(code, text);
    for (const size of [0, 1, text.length - 1, text.length + 1, text.length * 100]) {
      expect(() => decompress(code, packed, size)).toThrow(DecompressionError);
    }
  });

  it.each(kinds)(
    '%s throws a typed error, or gives the announced size, for damaged, truncated and random bytes',
    (_name, code) => {
      const compressor = new Compressor();
      const damaged = fc
        .tuple(texts, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
        .map(([text, changes, cut]) => {
          const packed = Buffer.from(compressor.compress(code, text));
          for (const [at, value] of changes) {
            packed[at % packed.length] = value;
          }
          return { bytes: packed.subarray(0, cut % (packed.length + 1)), size: text.length };
        });
      const noise = fc
        .tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(2_000))
        .map(([bytes, size]) => ({ bytes, size }));
      fc.assert(
        fc.property(fc.oneof(damaged, noise), ({ bytes, size }) => {
          try {
            expect(decompress(code, bytes, size)).toHaveLength(size);
          } catch (error) {
            if (!DecompressionError.is(error)) {
              throw error;
            }
          }
        }),
        { numRuns: 400 },
      );
    },
  );

  it.each(kinds)('%s gives back what repeats at the furthest distance that its offsets can say', (_name, code) => {
    const mark = Buffer.from('ABCDEFGHIJ');
    for (let gap = 65_515; gap < 65_545; gap++) {
      const text = Buffer.concat([mark, Buffer.alloc(gap), mark, Buffer.alloc(40, 'z')]);
      expect(decompress(code, new Compressor().compress(code, text), text.length).equals(text)).toBe(true);
    }
  });

  it('stops a bomb at the announced size', () => {
    const zeros = Buffer.alloc(50_000_000);
    for (const [code, bomb] of [
      [COMPRESSION.zlib, deflateSync(zeros)],
      [COMPRESSION.zstd, zstdCompressSync(zeros)],
      [COMPRESSION.lz4, new Compressor().compress(COMPRESSION.lz4, zeros)],
      [COMPRESSION.snappy, new Compressor().compress(COMPRESSION.snappy, zeros)],
    ] as const) {
      expect(bomb.length).toBeLessThan(zeros.length / 20);
      expect(() => decompress(code, bomb, 1_000)).toThrow(DecompressionError);
    }
  });

  it('never makes incompressible bytes much larger', () => {
    let state = 1;
    const noise = Buffer.from(
      Array.from({ length: 10_000 }, () => (state = Math.imul(state, 1_103_515_245) + 12_345) >>> 24),
    );
    for (const code of [COMPRESSION.lz4, COMPRESSION.snappy]) {
      expect(new Compressor().compress(code, noise).length).toBeLessThan(10_100);
    }
  });

  it('names a compression that it does not know', () => {
    expect(() => decompress(9, new Uint8Array(1), 1)).toThrow(DecompressionError);
    expect(() => new Compressor().compress(9, new Uint8Array(1))).toThrow(UnencodableValueError);
  });
});
