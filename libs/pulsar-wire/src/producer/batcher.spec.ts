import { VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Batcher, type BatcherOptions } from './batcher.js';
import type { FlushGeneration } from './flush-generations.js';
import { FrameMemory } from './frame-memory.js';
import type { PendingFrame } from './pending-frames.js';

const OPTIONS: BatcherOptions = {
  enabled: true,
  maxMessages: 8,
  maxBytes: 200,
  maxDelayMs: 10,
  keyed: 'by-key',
  compression: 'none',
};

function batcherOf(options: Partial<BatcherOptions> = {}, lastSequenceId = -1n) {
  const clock = new VirtualClock();
  const frames: PendingFrame[] = [];
  const memory = new FrameMemory();
  const origin = { producerId: 1, producerName: 'p', maxMessageBytes: 1_000, schemaVersion: undefined };
  const refused: number[] = [];
  let added = 0;
  /** The numbers of the messages, as receipts came for them. */
  const stored: number[] = [];
  const batcher = new Batcher(
    { ...OPTIONS, ...options },
    clock,
    memory,
    () => origin,
    (frame) => frames.push(frame),
    ({ count }) => refused.push(count),
  );
  batcher.begin(lastSequenceId);
  const generation: FlushGeneration = { open: 0 };
  const add = (message: { key?: string; sequenceId?: bigint; bytes?: number }, of = generation): void => {
    const payload = Buffer.alloc(message.bytes ?? 1);
    const number = added++;
    const listener = { onStored: () => void stored.push(number), onFailed: () => undefined };
    const sender = { bytes: payload.length, listener, generation: of };
    batcher.add({ ...message, payload }, sender);
  };
  const messages = (): number => frames.reduce((sum, { senders }) => sum + senders.count, 0);
  const store = (): readonly number[] => {
    frames.forEach(({ senders, batched }) => senders.resolveAll(7n, 0n, -1, batched));
    return stored;
  };
  return { clock, batcher, frames, memory, refused, add, messages, store };
}

describe('the batches of a producer', () => {
  it('sends a message with a chosen id behind so many keys that their batches are forgotten', async () => {
    const { clock, frames, add, messages } = batcherOf();
    for (let key = 0; key < 1_100; key++) {
      add({ key: `k${key}` });
    }
    add({ sequenceId: 100_000n });
    await clock.advance(10);

    expect(messages()).toBe(1_101);
    expect(frames.at(-1)).toMatchObject({ sequenceId: 100_000n });
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(['none', 'lz4'] as const)(
    'of ever new keys are made in memory that came back, compression %s',
    (compression) => {
      const { batcher, frames, memory, add } = batcherOf({ compression });
      const round = (number: number): void => {
        for (let key = 0; key < 2_000; key++) {
          add({ key: `${number} ${key}` });
        }
        batcher.sealAll();
        frames.splice(0).forEach(({ bytes }) => memory.giveBack(bytes));
      };
      round(1);
      const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
      round(2);
      expect(allocate).not.toHaveBeenCalled();
      allocate.mockRestore();
    },
  );

  it('puts an id that was sealed a moment ago beside no new one', () => {
    const { batcher, frames, add } = batcherOf();
    for (const sequenceId of [5n, 5n, 6n, 7n]) {
      add({ sequenceId });
    }
    batcher.sealAll();

    expect(frames.map(({ sequenceId, highestSequenceId }) => [sequenceId, highestSequenceId])).toEqual([
      [5n, 5n],
      [5n, 5n],
      [6n, 7n],
    ]);
    expect(frames.map(({ repeatsId }) => repeatsId)).toEqual([false, true, false]);
  });

  it('keeps what was sent before a flush and behind it apart', () => {
    const { batcher, frames, add } = batcherOf();
    const [before, behind]: FlushGeneration[] = [{ open: 0 }, { open: 0 }];
    add({}, before);
    add({}, before);
    add({}, behind);
    batcher.sealAll();

    expect(frames.map(({ senders }) => [senders.count, senders.generation])).toEqual([
      [2, before],
      [1, behind],
    ]);
  });

  it('of mixed keys keep the order of the calls, whatever is sent', () => {
    const act = fc.record(
      { key: fc.constantFrom('a', 'b', 'c'), sequenceId: fc.bigInt({ min: 0n, max: 60n }), bytes: fc.nat(250) },
      { requiredKeys: ['bytes'] },
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const { batcher, add, store } = batcherOf({ keyed: 'mixed' }, 20n);
        acts.forEach((one) => add(one));
        batcher.sealAll();
        expect(store()).toEqual(acts.map((_, at) => at));
      }),
    );
  });

  it('loses no message, repeats none, and lets no known id be in front of a new one, whatever is sent', () => {
    const message = fc.record(
      {
        key: fc.constantFrom('a', 'b', 'c'),
        sequenceId: fc.bigInt({ min: 0n, max: 60n }),
        bytes: fc.integer({ min: 0, max: 250 }),
      },
      { requiredKeys: [] },
    );
    const keyed = fc.constantFrom('by-key' as const, 'mixed' as const, 'single' as const);
    const act = fc.oneof({ weight: 8, arbitrary: message }, { weight: 1, arbitrary: fc.constant('seal' as const) });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), fc.boolean(), keyed, (acts, enabled, keyed) => {
        const { batcher, frames, add, messages } = batcherOf({ enabled, keyed }, 20n);
        for (const one of acts) {
          if (one === 'seal') {
            batcher.sealAll();
          } else {
            add(one);
          }
        }
        batcher.sealAll();

        expect(messages()).toBe(acts.filter((one) => one !== 'seal').length);
        expect(batcher.takeOpen()).toEqual([]);
        let highest = 20n;
        for (const frame of frames) {
          expect(frame.repeatsId).toBe(frame.sequenceId <= highest);
          expect(frame.repeatsId && frame.senders.count > 1).toBe(false);
          highest = frame.highestSequenceId > highest ? frame.highestSequenceId : highest;
        }
      }),
    );
  });
});
