import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IncomingMessage, TransportConsumer, TransportConsumerListener } from '../transport/pulsar.transport.js';
import { SubscriptionLink } from './subscription-link.js';

const message: Omit<IncomingMessage, 'id'> = {
  topic: 't',
  payload: new Uint8Array(),
  tombstone: false,
  key: undefined,
  orderingKey: undefined,
  properties: {},
  publishTimeMs: 0,
  eventTimeMs: undefined,
  redeliveryCount: 0,
  producerName: 'p',
  sequenceId: 0n,
};

/** Connected to a transport that counts the permits which it has not used; what is given back comes again, for nobody else is there. */
async function open(window: number, maxBytes?: number, returnsLate = false) {
  const clock = new VirtualClock();
  const nacks: number[] = [];
  const permits: number[] = [];
  let unused = 0;
  let listener: TransportConsumerListener | undefined;
  const done = (): Promise<void> => Promise.resolve();
  const transport: TransportConsumer = {
    topic: 't',
    subscription: 's',
    ack: done,
    ackCumulative: done,
    close: done,
    unsubscribe: done,
    permit: (count) => {
      permits.push(count);
      unused += count;
    },
    nack: (id, delayMs) => {
      nacks.push(delayMs);
      clock.setTimer(delayMs, () => unused > 0 && deliver(0, id.toString()));
    },
  };
  const link = new SubscriptionLink({
    clock,
    random: new SeededRandom(),
    window,
    maxBytes,
    returnsLate,
    subscribe: (heard) => {
      listener = heard;
      return Promise.resolve(transport);
    },
    onMessage: () => undefined,
    onLost: () => undefined,
    onReconnectFailed: () => undefined,
    onReconnected: () => undefined,
  });
  await link.connect();
  const deliver = (bytes = 0, id = 'id'): void => {
    unused--;
    listener?.onMessage({ ...message, id: { toString: () => id }, payload: new Uint8Array(bytes) });
  };
  return { clock, deliver, link, nacks, permits, unused: () => unused };
}

describe('SubscriptionLink', () => {
  it('gives permits back half a window at a time while messages are settled as they come', async () => {
    const { deliver, link, permits } = await open(100);
    for (let count = 0; count < 1_000; count++) {
      deliver();
      link.settled(0);
    }
    expect(permits[0]).toBe(100);
    expect(permits.slice(1).every((count) => count >= 50)).toBe(true);
  });

  it('never lets more out than the window, never holds all that is free back, and gives no permit behind the stop', async () => {
    const steps = fc.array(fc.constantFrom('deliver', 'settle', 'pause', 'resume'), { maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), steps, steps, async (window, before, after) => {
        const { deliver, link, permits, unused } = await open(window);
        let out = 0;
        let paused = false;
        let given: number | undefined;
        const play = (one: 'deliver' | 'settle' | 'pause' | 'resume'): void => {
          if (one === 'deliver' && unused() > 0) {
            // What comes behind the stop is not taken.
            out += given === undefined ? 1 : 0;
            deliver();
          } else if (one === 'settle' && out > 0) {
            out--;
            link.settled(0);
          } else if (one === 'pause') {
            paused = true;
            link.pause();
          } else if (one === 'resume') {
            paused = false;
            link.resume();
          }
          expect(out + unused()).toBeLessThanOrEqual(window);
          if (given !== undefined) {
            expect(permits).toHaveLength(given);
          } else if (!paused && out < window) {
            expect(unused()).toBeGreaterThan(0);
          }
        };
        before.forEach(play);
        link.stopIntake();
        given = permits.length;
        after.forEach(play);
      }),
    );
  });

  it('gives back at once what comes behind the stop, and what nobody else has taken after a second', async () => {
    const { clock, deliver, link, nacks } = await open(1_000, undefined, true);
    link.stopIntake();
    deliver(0, 'a');
    deliver(0, 'b');
    expect(nacks).toEqual([0, 0]);

    await clock.advance(5_000);

    expect(nacks).toEqual([0, 0, ...Array.from({ length: 12 }, () => 1_000)]);
  });

  it('asks for no more bytes than may be out, by what messages weighed of late, and is never stuck', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.array(fc.boolean(), { maxLength: 200 }),
        async (window, size, maxBytes, steps) => {
          const { deliver, link, unused } = await open(window, maxBytes);
          let out = 0;
          for (const arrives of steps) {
            if (arrives && unused() > 0) {
              deliver(size);
              out++;
            } else if (out > 0) {
              out--;
              link.settled(size);
            }
            expect(out + unused()).toBeLessThanOrEqual(window);
            expect((out + unused()) * size <= maxBytes || out + unused() <= 1).toBe(true);
            expect(out + unused()).toBeGreaterThan(0);
          }
        },
      ),
    );
  });
});
