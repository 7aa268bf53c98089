import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { textOf } from '../testing/transport-fixture.js';
import type { IncomingMessage, SubscriptionType } from '../transport/pulsar.transport.js';
import type { NativeConsumer, NativeMessage } from './native.client.js';
import { NativeTransportConsumer } from './native.consumer.js';

const TOPIC = 'persistent://public/default/t';

/** A consumer of the client whose receives the test settles, in any order. */
function scripted(type: SubscriptionType = 'Shared') {
  const receives: { resolve: (message: NativeMessage) => void; reject: (error: Error) => void }[] = [];
  const nacked: string[] = [];
  const native: NativeConsumer = {
    receive: () => new Promise((resolve, reject) => receives.push({ resolve, reject })),
    acknowledgeId: () => Promise.resolve(),
    acknowledgeCumulativeId: () => Promise.resolve(),
    negativeAcknowledgeId: (id) => nacked.push(id.toString()),
    unsubscribe: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const clock = new VirtualClock();
  const heard: IncomingMessage[] = [];
  const closed: Error[] = [];
  const consumer = new NativeTransportConsumer(
    native,
    { topic: TOPIC, subscription: 's', type, initialPosition: 'earliest', durable: true },
    { onMessage: (message) => heard.push(message), onClosed: (error) => closed.push(error) },
    clock,
    () => {},
  );
  consumer.permit(100);
  return {
    clock,
    closed,
    consumer,
    heard,
    nacked,
    receives,
    texts: () => heard.map(textOf),
    /** Settles the receives that have waited longest, the last of them first, as the addon does it in a turn. */
    arrive: async (...messages: readonly NativeMessage[]): Promise<void> => {
      const due = receives.splice(0, messages.length);
      for (const [at, message] of [...messages.entries()].toReversed()) {
        due[at]?.resolve(message);
      }
      await clock.advance(0);
    },
  };
}

/** One of a batch. */
function item(at: number, redeliveryCount = 0): NativeMessage {
  return {
    getTopicName: () => TOPIC,
    getProperties: () => [],
    getData: () => Buffer.from(`n${at}`),
    getMessageId: () => ({ toString: () => `(7,1,-1,${at})` }),
    getPublishTimestamp: () => 1,
    getEventTimestamp: () => 0,
    getRedeliveryCount: () => redeliveryCount,
    getPartitionKey: () => '',
    getOrderingKey: () => '',
    getProducerName: () => 'p',
  };
}

describe('A consumer of the native transport', () => {
  it('hands out in the order in which it asked, in whatever order the client settles that', async () => {
    const { arrive, texts } = scripted();
    await arrive(item(0), item(1), item(2));
    expect(texts()).toEqual(['n0', 'n1', 'n2']);
  });

  it('hands out what came before the client failed, then tells of the failure', async () => {
    const { clock, closed, receives, texts } = scripted();
    receives[1]?.reject(new Error('Failed to receive message: AlreadyClosed'));
    await clock.advance(0);
    expect(closed).toEqual([]);
    receives[0]?.resolve(item(0));
    await clock.advance(0);
    expect(texts()).toEqual(['n0']);
    expect(closed).toMatchObject([{ code: 'SMARTPULSE_PULSAR_CLOSED' }]);
  });

  it('keeps to itself what the client brings again of a batch and the application still has', async () => {
    const { arrive, clock, consumer, heard, nacked, texts } = scripted();
    await arrive(item(0), item(1), item(2), item(3));
    const [n0, n1, n2] = heard.map(({ id }) => id);
    await consumer.ack(n0!);
    consumer.nack(n1!, 0);
    consumer.nack(n2!, 1_000);
    await clock.advance(1);
    expect(nacked).toEqual(['(7,1,-1,1)']);
    await arrive(item(1, 1), item(2, 1), item(3, 1));
    expect(texts()).toEqual(['n0', 'n1', 'n2', 'n3', 'n1']);
    await clock.advance(1_000);
    expect(nacked).toEqual(['(7,1,-1,1)', '(7,1,-1,2)']);
    await arrive(item(1, 2), item(2, 2), item(3, 2));
    expect(texts().slice(5)).toEqual(['n2']);
  });

  it('hands out everything that comes again on Exclusive, where the order is that of the topic', async () => {
    const { arrive, clock, consumer, heard, texts } = scripted('Exclusive');
    await arrive(item(0), item(1));
    consumer.nack(heard[0]!.id, 0);
    await clock.advance(1);
    await arrive(item(0, 1), item(1, 1));
    expect(texts()).toEqual(['n0', 'n1', 'n0', 'n1']);
  });
});
