import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameTooLargeError, MalformedFrameError } from '../../pulsar-wire.errors.js';
import { FrameIntake, INTAKE_SLAB_BYTES } from './frame-intake.js';

function framed(payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.set(payload, 4);
  return frame;
}

/** Gives the stream in reads of these sizes at most, as a socket does: it fills no more than the room. */
function read(intake: FrameIntake, stream: Uint8Array, cuts: readonly number[]): void {
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const room = intake.room();
    expect(room.length).toBeGreaterThan(0);
    const count = Math.min(cuts[turn % cuts.length] ?? 1, room.length, stream.length - at);
    room.set(stream.subarray(at, at + count));
    at += count;
    intake.filled(count);
  }
}

describe('FrameIntake', () => {
  it('hands out the same frames however the stream is cut, and never writes again where one is held', () => {
    const size = fc.oneof(
      fc.integer({ min: 4, max: 300 }),
      fc.integer({ min: 60_000, max: 200_000 }),
      fc.integer({ min: INTAKE_SLAB_BYTES - 8, max: INTAKE_SLAB_BYTES + 8 }),
    );
    const cut = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1_000, max: 600_000 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, fc.nat(255)), { maxLength: 15 }),
        fc.array(cut, { minLength: 1, maxLength: 30 }).filter((cuts) => cuts.some((count) => count >= 1_000)),
        (list, cuts) => {
          const payloads = list.map(([length, fill]) => Buffer.alloc(length, fill));
          const seen: Buffer[] = [];
          const intake: FrameIntake = new FrameIntake((bytes, start, end) => {
            intake.slab?.hold();
            seen.push(bytes.subarray(start, end));
          });
          read(intake, Buffer.concat(payloads.map(framed)), cuts);
          expect(seen.length).toBe(payloads.length);
          // Compared at the end only: by then all later frames have been read.
          expect(seen.every((frame, index) => payloads[index]?.equals(frame))).toBe(true);
          expect(intake.bufferedBytes).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('fills again what nobody holds, and keeps what is held as it is', () => {
    const frame = fc.record({ length: fc.integer({ min: 4, max: 150_000 }), heldFor: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 40, maxLength: 60 }), (frames) => {
        const held: { readonly view: Buffer; readonly expected: Buffer; readonly until: number; release(): void }[] =
          [];
        const memories = new Set<ArrayBufferLike>();
        let turn = 0;
        const intake: FrameIntake = new FrameIntake((bytes, start, end) => {
          memories.add(bytes.buffer);
          const { slab } = intake;
          slab?.hold();
          const view = bytes.subarray(start, end);
          const until = turn + (frames[turn]?.heldFor ?? 0);
          held.push({ view, expected: Buffer.from(view), until, release: () => slab?.release() });
        });
        for (; turn < frames.length; turn++) {
          read(intake, framed(Buffer.alloc(frames[turn]?.length ?? 4, turn)), [60_000]);
          for (const one of held.splice(0)) {
            expect(one.view.equals(one.expected)).toBe(true);
            if (one.until <= turn) {
              one.release();
            } else {
              held.push(one);
            }
          }
        }
        memories.clear();
        held.splice(0).forEach((one) => one.release());
        for (let more = 0; more < 200; more++) {
          read(intake, framed(Buffer.alloc(100_000, more)), [60_000]);
          held.splice(0).forEach((one) => one.release());
        }
        // What was held once is enough for the 20 MB that follow.
        expect(memories.size).toBeLessThan(20);
      }),
      { numRuns: 15 },
    );
  });

  it('uses one piece of memory for ever where nothing is kept', () => {
    const memories = new Set<ArrayBufferLike>();
    const intake = new FrameIntake((bytes) => memories.add(bytes.buffer));
    read(intake, Buffer.concat(Array.from({ length: 40_000 }, () => framed(Buffer.alloc(60)))), [3_001, 64_000]);
    // Two: the rest of a frame moves to another one before the first is free.
    expect(memories.size).toBeLessThanOrEqual(2);
  });

  it('puts many frames of one read into one piece of memory, and copies none of them', () => {
    const seen = new Set<Buffer>();
    const intake = new FrameIntake((bytes) => seen.add(bytes));
    const room = intake.room();
    const stream = Buffer.concat(Array.from({ length: 100 }, () => framed(Buffer.alloc(1_000))));
    room.set(stream);
    intake.filled(stream.length);
    expect(seen.size).toBe(1);
    expect([...seen][0]?.buffer).toBe(room.buffer);
  });

  it('makes exactly the room that a frame larger than its memory needs, once', () => {
    let seen = 0;
    const intake = new FrameIntake((_bytes, start, end) => (seen = end - start));
    const payload = Buffer.alloc(2_000_000, 7);
    const stream = framed(payload);
    stream.copy(intake.room(), 0, 0, 100);
    intake.filled(100);
    const room = intake.room();
    expect(room.length).toBe(stream.length - 100);
    read(intake, stream.subarray(100), [70_000]);
    expect(seen).toBe(payload.length);
  });

  it('refuses a frame above the limit, which may change, before it makes room for it', () => {
    const intake = new FrameIntake(() => undefined, 8);
    intake.maxFrameBytes = 16;
    read(intake, framed(new Uint8Array(16)), [3]);
    expect(() => read(intake, Buffer.from([0, 0, 0, 17]), [3])).toThrow(FrameTooLargeError);
    expect(intake.bufferedBytes).toBe(0);
    expect(intake.room().length).toBeLessThan(INTAKE_SLAB_BYTES);
  });

  it('refuses a frame that has no room for a command', () => {
    expect(() => read(new FrameIntake(() => undefined), Buffer.from([0, 0, 0, 3, 1, 2, 3]), [9])).toThrow(
      MalformedFrameError,
    );
  });

  it('says nothing more after an error of the sink and after close', () => {
    const frames = Buffer.concat([framed(Buffer.from('1234')), framed(Buffer.from('5678'))]);
    let calls = 0;
    const failing = new FrameIntake(() => {
      calls++;
      throw new Error('sink');
    });
    expect(() => read(failing, frames, [100])).toThrow('sink');
    read(failing, frames, [100]);
    expect(calls).toBe(1);

    let closed = 0;
    const closing: FrameIntake = new FrameIntake(() => {
      closed++;
      closing.close();
    });
    read(closing, frames, [100]);
    expect(closed).toBe(1);
  });
});
