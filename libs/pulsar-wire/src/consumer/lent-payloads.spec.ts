import { Duplex } from 'node:stream';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PulsarClient } from '../client/pulsar-client.js';
import type { Dial } from '../connection/dial.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker } from '../testing/fake-broker.js';
import type { ConsumerOptions } from './consumer.options.js';
import type { ReceivedMessage } from './received-message.js';

const MESSAGES = 240;
/** Forty of the pieces of memory that a connection reads into. */
const PAYLOAD_BYTES = 90_000;

/** As a socket does it: what comes is put into the memory that the client gives. */
function intoIntake(broker: FakeBroker): Dial {
  return async (address, signal, intake) => {
    const stream = await broker.dial(address, signal);
    stream.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length;) {
        const room = intake.room();
        const count = Math.min(room.length, chunk.length - at);
        room.set(chunk.subarray(at, at + count));
        at += count;
        intake.filled(count);
      }
    });
    const seen = new Duplex({
      write: (chunk: Buffer, _encoding, done) => stream.write(chunk, done),
      read: () => undefined,
      destroy: (error, done) => {
        stream.destroy();
        done(error);
      },
    });
    stream.on('close', () => seen.destroy());
    return seen;
  };
}

describe('a consumer of lent payloads', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;

  beforeEach(() => {
    clock = new VirtualClock();
    broker = new FakeBroker();
    client = clientOf(broker, { clock, random: new SeededRandom(1) }, { dial: intoIntake(broker) }).client;
  });

  afterEach(() => finish(client.close()));

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);
  const fillOf = (index: number): number => (index * 7 + 1) & 0xff;

  /** Reads all of a topic, holding some messages back, and answers the memories that they lay in. */
  async function readAll(payloads: ConsumerOptions['payloads'], enabled: boolean, keep: number): Promise<number> {
    const producer = await finish(
      client.createProducer({ topic: 'orders', batching: { enabled, maxBytes: 200_000, maxDelayMs: 0 } }),
    );
    for (let index = 0; index < MESSAGES; index += 2) {
      const pair = [index, index + 1].map((each) => Buffer.alloc(PAYLOAD_BYTES, fillOf(each)));
      await finish(Promise.all(pair.map((payload) => producer.send({ payload }))));
    }
    const random = new SeededRandom(7);
    const held: { readonly message: ReceivedMessage; readonly fill: number }[] = [];
    const memories = new Set<ArrayBufferLike>();
    const acknowledged: Promise<void>[] = [];
    const seen = { received: 0 };
    const consumer = await finish(
      client.subscribe(
        { topic: 'orders', subscription: 's', type: 'Shared', initialPosition: 'earliest', payloads },
        {
          onMessage: (message) => {
            memories.add(message.payload.buffer);
            held.push({ message, fill: fillOf(seen.received++) });
          },
          onClosed: () => undefined,
        },
      ),
    );
    while (seen.received < MESSAGES || held.length > 0) {
      consumer.permit(4);
      await clock.settle();
      while (held.length > (seen.received < MESSAGES ? keep : 0)) {
        const [one] = held.splice(Math.floor(random.next() * held.length), 1);
        // Whatever was received since, it is what it was.
        expect(one?.message.payload.every((byte) => byte === one.fill)).toBe(true);
        if (one !== undefined) {
          acknowledged.push(consumer.ack(one.message.id));
        }
      }
    }
    await finish(Promise.all(acknowledged));
    return memories.size;
  }

  it.each([
    { enabled: true, title: 'in batches' },
    { enabled: false, title: 'one by one' },
  ])('finds each payload as it was until it acknowledges it, $title, and the memory is used again', async (way) => {
    expect(await readAll('lent', way.enabled, 12)).toBeLessThan(20);
  });

  it('is told from one of views, whose memory is never used again', async () => {
    expect(await readAll('view', true, 12)).toBeGreaterThan(35);
  });
});
