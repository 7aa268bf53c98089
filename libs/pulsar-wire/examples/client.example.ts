/**
 * A producer, a consumer and a reader on one topic, and a connection that is cut under them. The broker is one in memory here; leave `dial` out, and the
 * same program speaks to `serviceUrl`.
 *
 * Run it: `npm run example pulsar-wire`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, MessageId, PulsarClient } from '@smartpulse/pulsar-wire';
import { FakeBroker } from '@smartpulse/pulsar-wire/testing';

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (delayMs, callback, options) => {
    const timer = setTimeout(callback, delayMs);
    if (options?.unref === true) {
      timer.unref();
    }
    return { cancel: () => clearTimeout(timer) };
  },
};
const broker = new FakeBroker();
const client = new PulsarClient({
  serviceUrl: 'pulsar://localhost:6650',
  clock,
  random: { next: () => Math.random() },
  dial: broker.dial,
  onEvent: ({ type }) => console.log('event:', type),
});

const consumer = await client.subscribe(
  { topic: 'orders', subscription: 'billing', type: 'Shared', initialPosition: 'earliest' },
  {
    onMessage: (message) => {
      console.log('billed:', message.key, Buffer.from(message.payload).toString('utf8'));
      consumer
        .ack(message.id)
        .catch((error: unknown) => console.error('it will come again:', error))
        .finally(() => consumer.permit(1));
    },
    onClosed: (error) => console.error('gone for good:', error),
  },
);
consumer.permit(100);

const producer = await client.createProducer({ topic: 'orders', batching: { maxDelayMs: 5 } });
await producer.send({ payload: Buffer.from('12 MWh'), key: 'order-1' });
broker.open.forEach((connection) => connection.cut());
const id = await producer.send({ payload: Buffer.from('7 MWh'), key: 'order-2' });
console.log('stored as', id.toString());

const reader = await client.createReader({ topic: 'orders', startMessageId: MessageId.earliest });
while (await reader.hasNext()) {
  const message = await reader.next();
  console.log('read:', message.key, 'published by', message.producerName);
}
await sleep(50);
await client.close();
