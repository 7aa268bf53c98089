import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { expect, it } from 'vitest';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { produce, text, textOf } from '../testing/transport-fixture.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import { LetterReader } from './letter-reader.js';

const TOPIC = 'persistent://public/default/t-s-DLQ';
const subscribe = { topic: TOPIC, subscription: 's', type: 'Exclusive', durable: true } as const;

it('reads each letter once, and asks for as many, when a connection that was made anew brings them again', async () => {
  const clock = new VirtualClock();
  const broker = new InProcessBroker({ clock, random: new SeededRandom() });
  const inner = new InProcessTransport(broker);
  const producer = await produce(inner, TOPIC);
  for (const letter of ['a', 'b', 'c', 'd']) {
    await producer.send(text(letter));
  }
  const permits: number[] = [];
  const came: IncomingMessage[] = [];
  let again = (): void => {};
  const reader = await LetterReader.open({
    transport: {
      subscribe: async (options, listener) => {
        const onMessage = (message: IncomingMessage): void => {
          came.push(message);
          listener.onMessage(message);
        };
        again = () => came.slice().forEach((message) => listener.onMessage(message));
        const consumer = await inner.subscribe(options, { ...listener, onMessage });
        const permit = consumer.permit.bind(consumer);
        consumer.permit = (count) => {
          permits.push(count);
          permit(count);
        };
        return consumer;
      },
    },
    clock,
    subscribe,
    window: 2,
    idleMs: 1_000,
    signal: undefined,
  });
  const read: string[] = [];
  const next = async (): Promise<void> => {
    const reading = reader.next();
    let isSettled = false;
    void reading.then(() => (isSettled = true));
    await clock.until(() => isSettled);
    const letter = await reading;
    read.push(letter === undefined ? 'none' : textOf(letter));
  };
  await next();
  again();
  for (let count = 0; count < 4; count++) {
    await next();
  }

  expect(read).toEqual(['a', 'b', 'c', 'd', 'none']);
  const repeated = permits.length - 1 - 4;
  expect(repeated).toBeGreaterThan(0);
  await reader.close();
  await broker.close();
});
