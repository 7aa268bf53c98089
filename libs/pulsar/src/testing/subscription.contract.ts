import assert from 'node:assert/strict';
import { PulsarError } from '../pulsar.errors.js';
import type { SubscriptionType, TransportCapabilities } from '../transport/pulsar.transport.js';
import { consume, eventually, names, produce, type PulsarTransportFixture, text, textOf } from './transport-fixture.js';

/** What a case may need of a transport: a type of subscription, a capability, or the controls of an operator. */
export type TransportNeed = SubscriptionType | BooleanCapability | OperatorAct;

/** What there may be in the world of a fixture, and what the case that needs it is told where there is not. */
export const WITHOUT_ACT = Object.freeze({
  partitions: 'nobody makes partitions here',
  moves: 'nobody moves topics here',
  ends: 'nobody terminates topics here',
  deletes: 'nobody deletes topics here',
  tenants: 'the broker does not know which namespaces exist',
  missing: 'there is no place where topics are not made by themselves',
  cuts: 'there are no connections to cut here',
  restarts: 'the broker cannot be killed and started again here',
  tokens: 'the broker does not ask who is there',
  roles: 'the broker does not know who may what',
  tls: 'there is no TLS here',
});

/**
 * What a fixture's world has: an operator who makes partitions, moves a topic, ends it, deletes it, cuts connections, kills the broker and starts it again; `tenants`: the
 * broker knows which namespaces exist; `missing`: there is a place where topics are not made by themselves; `tokens`, `roles`, `tls`: the ways in of `access`.
 */
export type OperatorAct = keyof typeof WITHOUT_ACT;

type BooleanCapability = {
  [K in keyof TransportCapabilities]: TransportCapabilities[K] extends boolean ? K : never;
}[keyof TransportCapabilities];

/** One sentence of the contract and its check. */
export interface TransportCase {
  readonly title: string;
  readonly needs?: TransportNeed | undefined;
  check(fixture: PulsarTransportFixture): Promise<void>;
}

/** Who gets what. */
export const subscriptionCases: readonly TransportCase[] = [
  {
    title: 'an earliest subscription gets what was published before it, a latest one only what comes after',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic);
      await producer.send(text('before'));
      const early = await consume(transport, topic, { subscription: 'early', initialPosition: 'earliest' });
      const late = await consume(transport, topic, { subscription: 'late', initialPosition: 'latest' });
      await producer.send(text('after'));
      await eventually(fixture, () => early.messages.length === 2 && late.messages.length === 1, 'all delivered');
      assert.deepEqual(early.texts(), ['before', 'after']);
      assert.deepEqual(late.texts(), ['after']);
    },
  },
  {
    title: 'acknowledged messages stay for an earliest subscription that comes later',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic);
      const first = await consume(transport, topic, { subscription: 'first' });
      await producer.send(text('kept'));
      await eventually(fixture, () => first.messages.length === 1, 'delivered');
      await first.ackAll();
      const second = await consume(transport, topic, { subscription: 'second' });
      await eventually(fixture, () => second.messages.length === 1, 'delivered to the later one');
    },
  },
  {
    title: 'refuses a second consumer on an Exclusive subscription, and admits one after the first has closed',
    needs: 'Exclusive',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic, { type: 'Exclusive' });
      await assert.rejects(
        consume(two, topic, { type: 'Exclusive' }),
        (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_CONSUMER_BUSY',
      );
      await first.consumer.close();
      const second = await consume(two, topic, { type: 'Exclusive' });
      await (await produce(one, topic)).send(text('x'));
      await eventually(fixture, () => second.messages.length === 1, 'delivered');
    },
  },
  {
    title: 'Exclusive keeps the order of the topic',
    needs: 'Exclusive',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { type: 'Exclusive' });
      const producer = await produce(transport, topic);
      await Promise.all(names(200).map((name) => producer.send(text(name))));
      await eventually(fixture, () => heard.messages.length === 200, 'all delivered');
      assert.deepEqual(heard.texts(), names(200));
    },
  },
  {
    title: 'Failover delivers to one consumer and hands over to the next when it closes',
    needs: 'Failover',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic, { type: 'Failover', consumerName: 'a' });
      const second = await consume(two, topic, { type: 'Failover', consumerName: 'b' });
      const producer = await produce(one, topic);
      await Promise.all(names(3).map((name) => producer.send(text(name))));
      await eventually(fixture, () => first.messages.length + second.messages.length === 3, 'delivered');
      const [active, standby] = first.messages.length > 0 ? [first, second] : [second, first];
      assert.equal(standby.messages.length, 0);
      await active.consumer.ack(active.messages[0]!.id);
      await active.consumer.close();
      await eventually(fixture, () => standby.messages.length === 2, 'handed over');
      assert.deepEqual(standby.texts(), ['n1', 'n2']);
    },
  },
  {
    title: 'Shared spreads messages over consumers with permits, each message to one of them',
    needs: 'exactPermits',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic, { type: 'Shared', permits: 20 });
      const second = await consume(two, topic, { type: 'Shared', permits: 20 });
      const idle = await consume(two, topic, { type: 'Shared', permits: 0 });
      const producer = await produce(one, topic);
      await Promise.all(names(40).map((name) => producer.send(text(name))));
      await eventually(fixture, () => first.messages.length + second.messages.length === 40, 'all delivered');
      assert.deepEqual([...first.texts(), ...second.texts()].sort(), names(40).sort());
      assert.equal(first.messages.length, 20);
      assert.equal(idle.messages.length, 0);
    },
  },
  {
    title: 'Key_Shared gives each key to one consumer, in order',
    needs: 'Key_Shared',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic, { type: 'Key_Shared' });
      const second = await consume(two, topic, { type: 'Key_Shared' });
      const producer = await produce(one, topic);
      const keys = Array.from({ length: 20 }, (_, at) => `Schlüssel ${at} ⚡`);
      await Promise.all(keys.flatMap((key) => names(5).map((name) => producer.send(text(name, { key })))));
      await eventually(fixture, () => first.messages.length + second.messages.length === 100, 'all delivered');
      assert.ok(first.messages.length > 0 && second.messages.length > 0, 'both take part');
      for (const key of keys) {
        const holders = [first, second].filter(({ messages }) => messages.some((message) => message.key === key));
        assert.equal(holders.length, 1, key);
        assert.deepEqual(holders[0]!.messages.filter((message) => message.key === key).map(textOf), names(5));
      }
    },
  },
  {
    title: 'Key_Shared moves a key with messages unacknowledged only when their consumer closes, and keeps its order',
    needs: 'Key_Shared',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic, { type: 'Key_Shared', permits: 2 });
      const producer = await produce(one, topic);
      await Promise.all(names(4).map((name) => producer.send(text(name, { key: 'k' }))));
      await eventually(fixture, () => first.messages.length === 2, 'the first two delivered');
      const second = await consume(two, topic, { type: 'Key_Shared' });
      await producer.send(text('n4', { key: 'k' }));
      await fixture.advance(100);
      assert.deepEqual(second.texts(), []);
      await first.consumer.close();
      await eventually(fixture, () => second.messages.length === 5, 'the key moved');
      assert.deepEqual(second.texts(), names(5));
    },
  },
  {
    title: 'a consumer of another type is refused while others are there',
    needs: 'Exclusive',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      await consume(transport, topic, { type: 'Shared' });
      await assert.rejects(consume(transport, topic, { type: 'Failover' }), PulsarError.is);
    },
  },
  {
    title: 'a durable subscription keeps its cursor while nobody consumes',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const producer = await produce(two, topic);
      const before = await consume(one, topic);
      await producer.send(text('done'));
      await eventually(fixture, () => before.messages.length === 1, 'delivered');
      await before.ackAll();
      await before.consumer.close();
      await producer.send(text('meanwhile'));
      const after = await consume(two, topic, { initialPosition: 'latest' });
      await eventually(fixture, () => after.messages.length === 1, 'delivered after coming back');
      assert.deepEqual(after.texts(), ['meanwhile']);
    },
  },
  {
    title: 'a subscription that is not durable forgets its cursor with its consumer',
    needs: 'nonDurable',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic);
      const before = await consume(transport, topic, { durable: false, initialPosition: 'latest' });
      await producer.send(text('seen'));
      await eventually(fixture, () => before.messages.length === 1, 'delivered');
      await before.consumer.close();
      await producer.send(text('missed'));
      const after = await consume(transport, topic, { durable: false, initialPosition: 'latest' });
      await producer.send(text('new'));
      await eventually(fixture, () => after.messages.length === 1, 'delivered');
      assert.deepEqual(after.texts(), ['new']);
    },
  },
  {
    title: 'unsubscribe deletes the cursor',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic);
      const before = await consume(transport, topic);
      await producer.send(text('old'));
      await before.consumer.unsubscribe();
      const after = await consume(transport, topic, { initialPosition: 'latest' });
      await producer.send(text('new'));
      await eventually(fixture, () => after.messages.length === 1, 'delivered');
      assert.deepEqual(after.texts(), ['new']);
    },
  },
];
