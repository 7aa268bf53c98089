import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it, vi } from 'vitest';
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

  it('brings back what such a subscription has and gives back, although the log has trimmed it', async () => {
    const { transport, producer, clock } = await open({ maxMessages: 3 });
    const slow = await consume(transport, TOPIC, { durable: false, permits: 2 });
    await send(producer, 2);
    await clock.settle();
    await send(producer, 8, 2);
    slow.consumer.permit(100);
    await clock.settle();
    expect(slow.texts()).toEqual(['n0', 'n1', 'n7', 'n8', 'n9']);
    slow.consumer.nack(slow.messages[1]!.id, 0);
    await clock.settle();
    expect(slow.texts().at(-1)).toBe('n1');
  });

  it('trims as far as the slowest durable subscription, and no further', async () => {
    const { broker, transport, producer, clock } = await open({ maxMessages: 4 });
    const fast = await consume(transport, TOPIC, { subscription: 'fast' });
    const slow = await consume(transport, TOPIC, { subscription: 'slow' });
    const gone = await consume(transport, TOPIC, { subscription: 'gone' });
    await send(producer, 4);
    await clock.settle();
    await fast.ackAll();
    await slow.consumer.ack(slow.messages[0]!.id);
    const refused = producer.send(text('n4'));
    await expect(refused).rejects.toThrow(/"gone"/);
    await gone.consumer.unsubscribe();
    await producer.send(text('n4'));
    await expect(producer.send(text('n5'))).rejects.toThrow(/"slow"/);
    expect(broker.stats(TOPIC)).toMatchObject({ messages: 4, published: 5 });
    expect(['fast', 'slow', 'gone'].map((name) => broker.stats(TOPIC).backlog(name))).toEqual([1, 4, 0]);
  });

  it('gives a Key_Shared owner what came back before what was read ahead for it', async () => {
    const { transport, producer, clock } = await open({});
    const owner = await consume(transport, TOPIC, { type: 'Key_Shared', permits: 2 });
    await Promise.all(names(5).map((name) => producer.send(text(name, { key: 'k' }))));
    await clock.settle();
    expect(owner.texts()).toEqual(['n0', 'n1']);
    owner.consumer.nack(owner.messages[1]!.id, 0);
    owner.consumer.nack(owner.messages[0]!.id, 50);
    await clock.advance(50);
    owner.consumer.permit(10);
    await clock.settle();
    expect(owner.texts().slice(2)).toEqual(names(5));
  });

  it('does not bring a message again that another consumer acknowledged after it had given it back', async () => {
    const { broker, transport, producer, clock } = await open({});
    const first = await consume(transport, TOPIC, { permits: 1 });
    const second = await consume(transport, TOPIC, { permits: 0 });
    await send(producer, 1);
    await clock.settle();
    first.consumer.nack(first.messages[0]!.id, 0);
    second.consumer.permit(1);
    await clock.settle();
    expect(second.texts()).toEqual(['n0']);
    await first.consumer.ack(first.messages[0]!.id);
    second.consumer.nack(second.messages[0]!.id, 0);
    second.consumer.permit(10);
    await clock.settle();
    expect(second.texts()).toEqual(['n0']);
    expect(broker.stats(TOPIC).subscriptions['s']).toMatchObject({ backlog: 0, unacked: 0, redelivered: 1 });
  });

  it('waits for a message due in months by timers that a platform can set', async () => {
    const { transport, producer, clock } = await open({});
    const waits = vi.spyOn(clock, 'setTimer');
    const heard = await consume(transport, TOPIC);
    const dueMs = 90 * 86_400_000;
    await producer.send(text('later', { deliverAtMs: clock.now() + dueMs }));
    await clock.advance(dueMs - 1);
    expect(heard.messages).toHaveLength(0);
    await clock.advance(1);
    expect(heard.texts()).toEqual(['later']);
    expect(Math.max(...waits.mock.calls.map(([delayMs]) => delayMs))).toBeLessThan(2 ** 31);
    expect(waits.mock.calls.length).toBeLessThan(10);
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
