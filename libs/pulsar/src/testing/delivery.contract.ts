import assert from 'node:assert/strict';
import { consume, eventually, names, produce, text } from './transport-fixture.js';
import type { TransportCase } from './subscription.contract.js';

/** How messages come and come again. */
export const deliveryCases: readonly TransportCase[] = [
  {
    title: 'delivers nothing without permits, and no more than permitted; acknowledging gives none back',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { permits: 0 });
      const producer = await produce(transport, topic);
      await Promise.all(names(10).map((name) => producer.send(text(name))));
      await fixture.advance(100);
      assert.equal(heard.messages.length, 0);
      heard.consumer.permit(3);
      await eventually(fixture, () => heard.messages.length === 3, 'three delivered');
      await heard.ackAll();
      await fixture.advance(100);
      assert.equal(heard.messages.length, 3);
      heard.consumer.permit(2);
      await eventually(fixture, () => heard.messages.length === 5, 'five delivered');
    },
  },
  {
    title: 'never delivers inside the call that makes it possible',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { permits: 0 });
      await (await produce(transport, topic)).send(text('x'));
      heard.consumer.permit(1);
      assert.equal(heard.messages.length, 0);
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
    },
  },
  {
    title: 'redelivers what a closed consumer has not acknowledged, and not what it has; closing raises no count',
    async check(fixture) {
      const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
      const first = await consume(one, topic);
      const producer = await produce(two, topic);
      await Promise.all(names(3).map((name) => producer.send(text(name))));
      await eventually(fixture, () => first.messages.length === 3, 'delivered');
      assert.deepEqual(
        first.messages.map(({ redeliveryCount }) => redeliveryCount),
        [0, 0, 0],
      );
      await first.consumer.ack(first.messages[1]!.id);
      await first.consumer.close();
      const second = await consume(two, topic);
      await eventually(fixture, () => second.messages.length === 2, 'redelivered');
      assert.deepEqual(second.texts(), ['n0', 'n2']);
      assert.ok(second.messages.every(({ redeliveryCount }) => redeliveryCount === 0));
    },
  },
  {
    title: 'a nack brings the message again no sooner than its delay, each time with a higher count',
    needs: 'nackDelay',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      await (await produce(transport, topic)).send(text('x', { key: 'k', properties: { p: 'v' }, eventTimeMs: 7 }));
      for (let count = 0; count < 3; count++) {
        await eventually(fixture, () => heard.messages.length === count + 1, `delivery ${count}`);
        const message = heard.messages[count]!;
        assert.equal(message.redeliveryCount, count);
        assert.deepEqual([message.key, message.properties['p'], message.eventTimeMs], ['k', 'v', 7]);
        heard.consumer.nack(message.id, 1_000);
        await fixture.advance(900);
        assert.equal(heard.messages.length, count + 1);
        await fixture.advance(200);
      }
    },
  },
  {
    title: 'other messages pass one that was given back with a delay',
    needs: 'nackDelay',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      await producer.send(text('slow'));
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      heard.consumer.nack(heard.messages[0]!.id, 5_000);
      await producer.send(text('fast'));
      await eventually(fixture, () => heard.messages.length === 2, 'the other passed');
      assert.deepEqual(heard.texts(), ['slow', 'fast']);
      await fixture.advance(4_800);
      assert.deepEqual(heard.texts(), ['slow', 'fast']);
      await eventually(fixture, () => heard.messages.length === 3, 'delivered again');
      assert.deepEqual(heard.texts(), ['slow', 'fast', 'slow']);
    },
  },
  {
    title: 'delivers a delayed message no sooner than its time, on Shared',
    needs: 'delayedDelivery',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      const probe = await consume(transport, `${topic}-time`);
      await (await produce(transport, `${topic}-time`)).send(text('now'));
      await eventually(fixture, () => probe.messages.length === 1, 'the broker told its time');
      const nowMs = probe.messages[0]!.publishTimeMs;
      await producer.send(text('later', { deliverAtMs: nowMs + 5_000 }));
      await producer.send(text('now'));
      await eventually(fixture, () => heard.messages.length === 1, 'the other passed');
      await fixture.advance(3_000);
      assert.deepEqual(heard.texts(), ['now']);
      await eventually(fixture, () => heard.messages.length === 2, 'delivered in time');
    },
  },
  {
    title: 'an acknowledgement after the consumer closed is refused, closing again does nothing',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      await (await produce(transport, topic)).send(text('x'));
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      await heard.consumer.close();
      await heard.consumer.close();
      await assert.rejects(heard.consumer.ack(heard.messages[0]!.id));
    },
  },
  {
    title: 'every subscription gets every message',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const all = await Promise.all(names(3).map((subscription) => consume(transport, topic, { subscription })));
      const producer = await produce(transport, topic);
      await Promise.all(names(20).map((name) => producer.send(text(name))));
      await eventually(fixture, () => all.every(({ messages }) => messages.length === 20), 'all delivered');
    },
  },
];
