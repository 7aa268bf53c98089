import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { BacklogQuotaError } from '../pulsar.errors.js';
import type { PulsarTransport, TransportProducer } from '../transport/pulsar.transport.js';
import { consume, names, produce, text } from '../testing/transport-fixture.js';
import { InProcessBroker, type InProcessRetention } from './in-process.broker.js';
import { InProcessTransport } from './in-process.transport.js';

const TOPIC = 'persistent://public/default/t';

async function open(retention: InProcessRetention) {
  const clock = new VirtualClock();
  const broker = new InProcessBroker({ clock, random: new SeededRandom(), retention });
  const transport: PulsarTransport = new InProcessTransport(broker);
  const producer = await produce(transport, TOPIC);
  return { clock, broker, transport, producer };
}

const send = (producer: TransportProducer, count: number, from = 0) =>
  Promise.all(names(count, from).map((name) => producer.send(text(name))));

describe('InProcessBroker', () => {
  it('forgets the oldest messages that nobody needs when a topic is full', async () => {
    const { broker, transport, producer, clock } = await open({ maxMessages: 5 });
    await send(producer, 12);
    expect(broker.stats(TOPIC)).toMatchObject({ messages: 5, published: 12 });
    const late = await consume(transport, TOPIC);
    await clock.settle();
    expect(late.texts()).toEqual(names(5, 7));
  });

  it('refuses a publish when the oldest message is still needed by a durable subscription, and takes it after the acknowledgement', async () => {
    const { broker, transport, producer, clock } = await open({ maxMessages: 3 });
    const heard = await consume(transport, TOPIC);
    await send(producer, 3);
    await clock.settle();
    const refused = producer.send(text('too much'));
    await expect(refused).rejects.toSatisfy(BacklogQuotaError.is);
    await expect(refused).rejects.toMatchObject({ kind: 'backpressure', ambiguous: false, topic: TOPIC });
    await heard.consumer.ack(heard.messages[1]!.id);
    await expect(producer.send(text('still too much'))).rejects.toSatisfy(BacklogQuotaError.is);
    await heard.consumer.ack(heard.messages[0]!.id);
    await producer.send(text('n3'));
    await clock.settle();
    expect(heard.texts()).toEqual(names(4));
    expect(broker.stats(TOPIC).backlog('s')).toBe(2);
  });

  it('bounds bytes as well as messages', async () => {
    const { broker, producer } = await open({ maxBytes: 10 });
    await send(producer, 8);
    expect(broker.stats(TOPIC)).toMatchObject({ messages: 5, bytes: 10 });
  });

  it('lets a subscription that is not durable miss what was trimmed, and counts it', async () => {
    const { broker, transport, producer, clock } = await open({ maxMessages: 3 });
    const slow = await consume(transport, TOPIC, { durable: false, permits: 0 });
    await send(producer, 10);
    slow.consumer.permit(100);
    await clock.settle();
    expect(slow.texts()).toEqual(names(3, 7));
    expect(broker.stats(TOPIC).subscriptions['s']).toMatchObject({ skipped: 7, durable: false });
  });

  it('gives the event loop its turn while it delivers a long backlog', async () => {
    const { transport, producer, clock } = await open({});
    await send(producer, 3_000);
    const heard = await consume(transport, TOPIC, { permits: 5_000 });
    await Promise.resolve();
    await Promise.resolve();
    expect(heard.messages.length).toBeLessThan(3_000);
    await clock.advance(0);
    expect(heard.messages.length).toBe(3_000);
  });

  it('tells consumers that it closes and leaves no timer', async () => {
    const { broker, transport, producer, clock } = await open({});
    const heard = await consume(transport, TOPIC);
    await send(producer, 1);
    await clock.settle();
    heard.consumer.nack(heard.messages[0]!.id, 5_000);
    expect(clock.pendingTimers).toBe(1);
    await broker.close();
    expect(heard.closed).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
    await expect(producer.send(text('late'))).rejects.toMatchObject({ kind: 'recreate' });
  });

  it('has another instance than every other broker', () => {
    const clock = new VirtualClock();
    expect(new InProcessBroker({ clock }).instance).not.toBe(new InProcessBroker({ clock }).instance);
  });

  it('refuses a retention that is none', () => {
    const clock = new VirtualClock();
    expect(() => new InProcessBroker({ clock, retention: { maxMessages: 0 } })).toThrow(ConfigurationError);
  });

  it('refuses topics without end', async () => {
    const { transport } = await open({ maxTopics: 2 });
    await produce(transport, `${TOPIC}-2`);
    await expect(produce(transport, `${TOPIC}-3`)).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_TOO_MANY_TOPICS' });
  });
});
