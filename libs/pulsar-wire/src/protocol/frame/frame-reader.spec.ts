import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameTooLargeError, MalformedFrameError } from '../../pulsar-wire.errors.js';
import { FrameReader } from './frame-reader.js';

function framed(payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.set(payload, 4);
  return frame;
}

const payloads = fc.array(fc.uint8Array({ minLength: 4, maxLength: 300 }), { maxLength: 12 });

describe('FrameReader', () => {
  it('hands out the same frames however the stream is cut', () => {
    fc.assert(
      fc.property(
        payloads,
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 40 }),
        (list, cuts) => {
          const stream = Buffer.concat(list.map(framed));
          const seen: Buffer[] = [];
          const reader = new FrameReader((bytes, start, end) => seen.push(Buffer.from(bytes.subarray(start, end))));
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = cuts[turn % cuts.length] ?? 1;
            reader.push(stream.subarray(at, at + size));
            at += size;
          }
          expect(seen).toEqual(list.map((payload) => Buffer.from(payload)));
          expect(reader.bufferedBytes).toBe(0);
        },
      ),
    );
  });

  it('hands out the same frames for every size of chunk, down to single bytes', () => {
    const list = [5, 300, 4, 70].map((size) => Buffer.alloc(size, size));
    const stream = Buffer.concat(list.map(framed));
    for (let size = 1; size <= stream.length; size++) {
      const seen: Buffer[] = [];
      const reader = new FrameReader((bytes, start, end) => seen.push(Buffer.from(bytes.subarray(start, end))));
      for (let at = 0; at < stream.length; at += size) {
        reader.push(stream.subarray(at, at + size));
      }
      expect(seen).toEqual(list);
    }
  });

  it('hands out whole frames where they lie, without a copy', () => {
    const chunk = Buffer.concat([framed(Buffer.from('first')), framed(Buffer.from('second'))]);
    const seen: [Buffer, number, number][] = [];
    new FrameReader((...frame) => seen.push(frame)).push(chunk);
    expect(seen).toEqual([
      [chunk, 4, 9],
      [chunk, 13, 19],
    ]);
    expect(seen.every(([bytes]) => bytes === chunk)).toBe(true);
  });

  it('refuses a frame above the limit when its size is known, whole or in pieces', () => {
    const size = Buffer.from([0, 0, 1, 1]);
    for (const chunks of [[size], [size.subarray(0, 1), size.subarray(1)]]) {
      const reader = new FrameReader(() => undefined, 256);
      expect(() => chunks.forEach((chunk) => reader.push(chunk))).toThrow(FrameTooLargeError);
      expect(reader.bufferedBytes).toBe(0);
    }
    const seen: number[] = [];
    new FrameReader((_bytes, start, end) => seen.push(end - start), 256).push(framed(new Uint8Array(256)));
    expect(seen).toEqual([256]);
  });

  it('refuses a frame that has no room for a command', () => {
    expect(() => new FrameReader(() => undefined).push(Buffer.from([0, 0, 0, 3, 1, 2, 3]))).toThrow(
      MalformedFrameError,
    );
  });

  it('says nothing more after an error of the sink and after close', () => {
    const frames = Buffer.concat([framed(Buffer.from('1234')), framed(Buffer.from('5678'))]);
    let calls = 0;
    const failing = new FrameReader(() => {
      calls++;
      throw new Error('sink');
    });
    expect(() => failing.push(frames)).toThrow('sink');
    failing.push(frames);
    expect(calls).toBe(1);

    let closed = 0;
    const closing: FrameReader = new FrameReader(() => {
      closed++;
      closing.close();
    });
    closing.push(frames);
    expect(closed).toBe(1);
  });

  it('follows a limit that changes while the connection stands', () => {
    const reader = new FrameReader(() => undefined, 8);
    reader.maxFrameBytes = 16;
    expect(() => reader.push(framed(new Uint8Array(16)))).not.toThrow();
    expect(() => reader.push(framed(new Uint8Array(17)))).toThrow(FrameTooLargeError);
  });
});
