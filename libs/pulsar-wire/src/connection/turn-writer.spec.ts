import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TurnWriter } from './turn-writer.js';

/** What reaches the system: the sizes of the frames of each write. */
function recorded(): { readonly writes: number[][]; readonly bytes: Buffer[]; readonly stream: Writable } {
  const writes: number[][] = [];
  const bytes: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 100_000_000,
    write: (chunk: Buffer, _encoding, done) => {
      writes.push([chunk.length]);
      bytes.push(chunk);
      done();
    },
    writev: (chunks, done) => {
      writes.push(chunks.map(({ chunk }: { readonly chunk: Buffer }) => chunk.length));
      bytes.push(...chunks.map(({ chunk }: { readonly chunk: Buffer }) => chunk));
      done();
    },
  });
  return { writes, bytes, stream };
}

describe('the writer of a connection', () => {
  it('lets the small frames of a turn leave in one write', async () => {
    const { writes, stream } = recorded();
    const writer = new TurnWriter(stream);
    [10, 20, 30].forEach((size) => writer.write(Buffer.alloc(size)));
    expect(writes).toEqual([]);

    await turn();
    expect(writes).toEqual([[10, 20, 30]]);
  });

  it('lets a large frame leave at once, behind what waits', async () => {
    const { writes, stream } = recorded();
    const writer = new TurnWriter(stream);
    [100_000, 10, 20, 90_000, 30].forEach((size) => writer.write(Buffer.alloc(size)));
    expect(writes).toEqual([[100_000], [10, 20, 90_000]]);

    await turn();
    expect(writes.slice(2)).toEqual([[30]]);
  });

  it('keeps the order and forgets nothing, whatever the sizes and the turns', async () => {
    const frame = fc.record({
      size: fc.oneof(fc.nat(100), fc.integer({ min: 30_000, max: 40_000 })),
      ends: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 30 }), async (frames) => {
        const { bytes, stream } = recorded();
        const writer = new TurnWriter(stream);
        const expected: Buffer[] = [];
        for (const [index, { size, ends }] of frames.entries()) {
          const one = Buffer.alloc(size + 1, index);
          expected.push(one);
          writer.write(one);
          if (ends) {
            await turn();
          }
        }
        writer.flush();
        expect(Buffer.concat(bytes).equals(Buffer.concat(expected))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
