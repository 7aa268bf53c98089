import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameMemory } from './frame-memory.js';

describe('the memory of frames', () => {
  it('gives at least what is asked for, and the same bytes to one owner at a time', () => {
    const step = fc.record({ bytes: fc.integer({ min: 0, max: 400_000 }), givesBack: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new FrameMemory();
        const owned: Buffer[] = [];
        for (const { bytes, givesBack } of steps) {
          const taken = memory.take(bytes);
          expect(taken.length).toBeGreaterThanOrEqual(bytes);
          expect(owned.some(({ buffer }) => buffer === taken.buffer)).toBe(false);
          owned.push(taken.subarray(taken.length >> 1));
          owned.splice(0, givesBack).forEach((used) => memory.giveBack(used));
        }
      }),
    );
  });

  it('uses again what came back', () => {
    const memory = new FrameMemory();
    const first = memory.take(131_072 + 600);
    memory.giveBack(first.subarray(100, 200));

    expect(memory.take(100_000).buffer).toBe(first.buffer);
    expect(memory.take(100_000).buffer).not.toBe(first.buffer);
    expect(memory.idleBytes).toBe(0);
  });

  it('keeps 8 MiB at most, and nothing that is not its own', () => {
    const memory = new FrameMemory();
    Array.from({ length: 100 }, () => memory.take(131_072)).forEach((taken) => memory.giveBack(taken));
    expect(memory.idleBytes).toBeGreaterThan(8_000_000);
    expect(memory.idleBytes).toBeLessThanOrEqual(8 * 1_024 * 1_024);

    const other = new FrameMemory();
    other.giveBack(Buffer.from('pooled by the engine'));
    other.giveBack(other.take(200_000));
    other.giveBack(Buffer.from(new SharedArrayBuffer(320)));
    expect(other.idleBytes).toBe(0);
  });
});
