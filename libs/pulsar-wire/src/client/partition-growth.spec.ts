import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REFUSAL } from '../connection/broker-error.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker } from '../testing/fake-broker.js';
import type { WireConsumer } from '../consumer/consumer.options.js';
import { FakeSubscription } from '../testing/fake-broker.topic.js';
import type { ClientEvent } from './client.options.js';
import type { PulsarClient } from './pulsar-client.js';

const TOPIC = 'persistent://public/default/orders';
const ROUND_MS = 60_000;

describe('a topic that gets more partitions', () => {
  let clock: VirtualClock;
  let partitions: Record<string, number>;
  let broker: FakeBroker;
  let client: PulsarClient;
  let events: readonly ClientEvent[];
  const received: string[] = [];

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);

  beforeEach(() => {
    clock = new VirtualClock();
    partitions = { [TOPIC]: 1 };
    broker = new FakeBroker({ partitions });
    received.length = 0;
    connect();
  });

  afterEach(async () => {
    await finish(client.close());
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
  });

  function connect(options: { readonly partitionsCheckMs?: number } = {}): void {
    ({ client, events } = clientOf(broker, { clock, random: new SeededRandom(3) }, options));
  }

  async function round(): Promise<void> {
    await clock.advance(ROUND_MS);
    await finish(Promise.resolve());
    await clock.advance(1_000);
  }

  const subscribe = async () => {
    const consumer = await finish(
      client.subscribe(
        { topic: 'orders', subscription: 's', type: 'Key_Shared', initialPosition: 'latest' },
        {
          onMessage: ({ payload }) => received.push(Buffer.from(payload).toString('utf8')),
          onClosed: (error) => expect.unreachable(error.message),
        },
      ),
    );
    consumer.permit(1_000);
    return consumer;
  };

  it('is produced to and consumed from on all of them a minute later, without a message missed', async () => {
    await subscribe();
    const producer = await finish(client.createProducer({ topic: 'orders', batching: { enabled: false } }));
    partitions[TOPIC] = 4;
    // Another producer knows the new partitions before the consumer does.
    const { client: other } = clientOf(broker, { clock, random: new SeededRandom(4) });
    const early = await finish(other.createProducer({ topic: 'orders', batching: { enabled: false } }));
    for (let index = 0; index < 20; index++) {
      await finish(early.send({ key: `k-${index}`, payload: Buffer.from(`early-${index}`) }));
    }
    await finish(other.close());
    expect(received.length).toBeLessThan(20);

    await round();

    expect(received).toHaveLength(20);
    for (let index = 0; index < 20; index++) {
      await finish(producer.send({ key: `k-${index}`, payload: Buffer.from(`late-${index}`) }));
    }
    expect(received).toHaveLength(40);
    const homes = [0, 1, 2, 3].map((partition) => broker.topic(`${TOPIC}-partition-${partition}`).entries.length);
    expect(homes.every((count) => count > 0)).toBe(true);
    expect(events.filter(({ type }) => type === 'partitions-added')).toHaveLength(2);
  });

  it('is asked about again when a round fails', async () => {
    await subscribe();
    partitions[TOPIC] = 2;
    broker.script('partitionedMetadata', (connection, { requestId }) => {
      connection.send('partitionedMetadataResponse', { requestId, response: 1, error: 6, message: 'not now' });
      return true;
    });
    await round();
    expect(events.some(({ type }) => type === 'partitions-unknown')).toBe(true);
    expect(broker.consumers).toBe(1);

    broker.unscript('partitionedMetadata');
    await round();

    expect(broker.consumers).toBe(2);
  });

  /** The broker answers the consumers that leave for good only when it is told to. */
  function slowLeave(): () => void {
    const answers: (() => void)[] = [];
    broker.script('unsubscribe', (_connection, _fields, handle) => answers.push(handle) > 0);
    return () => {
      broker.unscript('unsubscribe');
      answers.forEach((answer) => answer());
    };
  }

  const subscriptions = (): readonly string[] =>
    [...broker.topics].filter(([, { subscriptions: on }]) => on.size > 0).map(([name]) => name);

  it('is not subscribed to on the new ones while its consumer leaves for good', async () => {
    const consumer = await subscribe();
    const answer = slowLeave();
    await clock.advance(ROUND_MS - 10_000);
    const leaving = consumer.unsubscribe();
    partitions[TOPIC] = 3;
    await clock.advance(20_000);
    answer();
    await finish(leaving);
    await round();

    expect(broker.all('subscribe')).toHaveLength(1);
    expect(subscriptions()).toEqual([]);
  });

  it('is left on the new ones, too, that its consumer was about to take on when it was told to leave for good', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    const held: (() => void)[] = [];
    broker.script('subscribe', (_connection, _fields, handle) => held.push(handle) > 0);
    await clock.advance(ROUND_MS);
    expect(held).toHaveLength(2);
    const leaving = consumer.unsubscribe();
    await clock.settle();
    broker.unscript('subscribe');
    held.forEach((go) => go());
    await finish(leaving);

    expect(broker.consumers).toBe(0);
    expect(subscriptions()).toEqual([]);
  });

  /** A round that fails half-way: partition 1 accepts, partition 2 does not. */
  async function failedRound(): Promise<void> {
    refusing(2);
    await round();
    expect(events.filter(({ type }) => type === 'partitions-unknown')).toHaveLength(1);
  }

  function refusing(partition: number): void {
    broker.script('subscribe', (connection, { requestId, topic }) => {
      if (topic !== `${TOPIC}-partition-${partition}`) {
        return false;
      }
      connection.send('error', { requestId, error: REFUSAL.NotAllowed, message: 'not this one' });
      return true;
    });
  }

  async function refusedToLeave(consumer: WireConsumer): Promise<void> {
    broker.script('unsubscribe', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 1, message: 'another consumer is there' });
      return true;
    });
    await expect(finish(consumer.unsubscribe())).rejects.toThrow('another consumer is there');
  }

  it('has no consumer on the new ones that nobody uses where a round failed half-way, and the next one misses nothing', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    await failedRound();
    expect(broker.consumers).toBe(1);
    const producer = await finish(client.createProducer({ topic: `${TOPIC}-partition-1` }));
    await finish(producer.send({ payload: Buffer.from('meanwhile') }));
    broker.unscript('subscribe');
    await round();

    expect([broker.consumers, received]).toEqual([3, ['meanwhile']]);
    const before = broker.all('subscribe').length;
    await finish(consumer.unsubscribe());
    expect([broker.all('subscribe').length, subscriptions()]).toEqual([before, []]);
  });

  it('is left on the new ones, too, after a round that failed half-way', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    await failedRound();
    await finish(consumer.unsubscribe());

    expect([broker.consumers, subscriptions()]).toEqual([0, []]);
  });

  it('is left on the new ones, too, where the round that fails half-way is under way when its consumer leaves for good', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    const held: (() => void)[] = [];
    broker.script('subscribe', (connection, { requestId, topic }, handle) => {
      held.push(
        topic.endsWith('-1')
          ? handle
          : () => connection.send('error', { requestId, error: REFUSAL.NotAllowed, message: 'not this one' }),
      );
      return true;
    });
    await clock.advance(ROUND_MS);
    expect(held).toHaveLength(2);
    const leaving = consumer.unsubscribe();
    await clock.settle();
    broker.unscript('subscribe');
    held.forEach((go) => go());
    await finish(leaving);

    expect([broker.consumers, subscriptions()]).toEqual([0, []]);
  });

  it('is left on a new one, too, that subscribed without its consumer being told in time', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 2;
    broker.script('subscribe', (_connection, fields) => {
      // Registered, but nobody hears of it.
      broker.topic(fields.topic).subscriptions.set('s', new FakeSubscription(0n, 0n));
      return true;
    });
    await round();
    for (let second = 0; second < 70; second++) {
      await clock.advance(1_000);
    }
    expect(subscriptions()).toHaveLength(2);
    broker.unscript('subscribe');
    await finish(consumer.unsubscribe());

    expect([broker.consumers, subscriptions()]).toEqual([0, []]);
  });

  it('says so where it cannot be left on a new one, has no consumer on it then, and is not asked about any more', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    await failedRound();
    refusing(1);
    await expect(finish(consumer.unsubscribe())).rejects.toThrow('not this one');
    expect([broker.consumers, subscriptions()]).toEqual([0, [`${TOPIC}-partition-1`]]);
    broker.unscript('subscribe');
    await round();

    expect([broker.consumers, subscriptions()]).toEqual([0, [`${TOPIC}-partition-1`]]);
  });

  it('is left on the new ones, too, where its consumer was refused before to leave for good after a round that failed half-way', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    await failedRound();
    await refusedToLeave(consumer);
    expect([broker.consumers, subscriptions().length]).toEqual([1, 2]);
    broker.unscript('unsubscribe');
    await finish(consumer.unsubscribe());

    expect([broker.consumers, subscriptions()]).toEqual([0, []]);
  });

  it('is subscribed to no more by a client that is closed while its consumer leaves for good', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    broker.script('subscribe', (_connection, { topic }) => topic.endsWith('-2'));
    await clock.advance(ROUND_MS);
    const [first] = broker.all('subscribe');
    const held: (() => void)[] = [];
    broker.script('closeConsumer', (_connection, { consumerId }, handle) =>
      consumerId === first?.consumerId ? held.push(handle) > 0 : false,
    );
    const leaving = expect(consumer.unsubscribe()).rejects.toThrow('closed');
    const closing = client.close();
    await clock.settle();
    expect(held).toHaveLength(1);
    held.forEach((go) => go());
    await finish(closing);
    await finish(leaving);

    expect([broker.all('subscribe').length, clock.pendingTimers]).toEqual([3, 0]);
  });

  it('keeps its subscription on the new ones where its consumer is closed after a round that failed half-way', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 3;
    await failedRound();
    await finish(consumer.close());
    await expect(finish(consumer.unsubscribe())).rejects.toThrow();

    expect(subscriptions()).toEqual([`${TOPIC}-partition-0`, `${TOPIC}-partition-1`]);
  });

  it('is taken on by the next round where its consumer was refused to leave for good', async () => {
    const consumer = await subscribe();
    partitions[TOPIC] = 2;
    await refusedToLeave(consumer);
    await round();

    expect(broker.consumers).toBe(2);
  });

  it('is left alone when its consumer is closed, or nobody is to ask', async () => {
    const consumer = await subscribe();
    await finish(consumer.close());
    const before = broker.all('partitionedMetadata').length;
    await round();
    await round();
    expect(broker.all('partitionedMetadata')).toHaveLength(before);
    await finish(client.close());
    connect({ partitionsCheckMs: 0 });
    await subscribe();
    partitions[TOPIC] = 2;
    const asked = broker.all('partitionedMetadata').length;
    await round();
    await round();

    expect(broker.all('partitionedMetadata')).toHaveLength(asked);
    expect(broker.consumers).toBe(1);
  });
});
