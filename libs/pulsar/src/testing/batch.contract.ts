import assert from 'node:assert/strict';
import { PulsarError } from '../pulsar.errors.js';
import type { TransportCapabilities } from '../transport/pulsar.transport.js';
import type { TransportCase } from './subscription.contract.js';
import { consume, eventually, names, produce, type PulsarTransportFixture, text, textOf } from './transport-fixture.js';

const batching = { enabled: true, maxMessages: 10, maxBytes: 131_072, maxDelayMs: 200 };

/** What holds for messages that travel together, as for those that travel alone. */
export function batchCases({ compression }: TransportCapabilities): readonly TransportCase[] {
  return [
    {
      title: 'acknowledging some messages of a batch keeps the others, for whoever comes next',
      needs: 'batching',
      async check(fixture) {
        const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
        const first = await consume(one, topic);
        await publishBatch(fixture, topic);
        await eventually(fixture, () => first.messages.length === 10, 'delivered');
        await Promise.all(first.messages.filter((_, at) => at % 2 === 0).map(({ id }) => first.consumer.ack(id)));
        await first.consumer.close();
        const second = await consume(two, topic);
        await eventually(fixture, () => second.messages.length === 5, 'the others delivered');
        await fixture.advance(100);
        assert.deepEqual(second.texts(), ['n1', 'n3', 'n5', 'n7', 'n9']);
      },
    },
    {
      title: 'giving back one message of a batch brings that one again, and no other',
      needs: 'batching',
      async check(fixture) {
        const [transport, topic] = [await fixture.transport(), fixture.topic()];
        const heard = await consume(transport, topic);
        await publishBatch(fixture, topic);
        await eventually(fixture, () => heard.messages.length === 10, 'delivered');
        heard.consumer.nack(heard.messages[3]!.id, 0);
        await eventually(fixture, () => heard.messages.length === 11, 'delivered again');
        await fixture.advance(300);
        assert.deepEqual(heard.texts().slice(10), ['n3']);
        await heard.ackAll();
      },
    },
    {
      title: 'an acknowledgement of a message and all before it leaves only what came after',
      needs: 'cumulativeAck',
      async check(fixture) {
        const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
        const first = await consume(one, topic, { type: 'Exclusive' });
        await publishBatch(fixture, topic);
        await publishBatch(fixture, topic, 10);
        await eventually(fixture, () => first.messages.length === 20, 'delivered');
        await first.consumer.ackCumulative(first.messages[13]!.id);
        await first.consumer.close();
        const second = await consume(two, topic, { type: 'Exclusive' });
        await eventually(fixture, () => second.messages.length === 6, 'the rest delivered');
        await fixture.advance(100);
        assert.deepEqual(second.texts(), names(6, 14));
      },
    },
    {
      title: 'refuses an acknowledgement of all before on Shared, where it would mean nothing',
      needs: 'cumulativeAck',
      async check(fixture) {
        const [transport, topic] = [await fixture.transport(), fixture.topic()];
        const heard = await consume(transport, topic);
        await (await produce(transport, topic)).send(text('x'));
        await eventually(fixture, () => heard.messages.length === 1, 'delivered');
        await assert.rejects(
          heard.consumer.ackCumulative(heard.messages[0]!.id),
          (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_NOT_ALLOWED',
        );
      },
    },
    {
      title: 'Key_Shared spreads messages that were sent in batches by their keys, in order',
      needs: 'keyedBatching',
      async check(fixture) {
        const [one, two, topic] = [await fixture.transport(), await fixture.transport(), fixture.topic()];
        const first = await consume(one, topic, { type: 'Key_Shared' });
        const second = await consume(two, topic, { type: 'Key_Shared' });
        const producer = await produce(one, topic, { batching: { ...batching, maxMessages: 100 } });
        const keys = Array.from({ length: 20 }, (_, at) => `key ${at}`);
        const sends = names(10).flatMap((name) => keys.map((key) => producer.send(text(name, { key }))));
        await producer.flush();
        await Promise.all(sends);
        await eventually(fixture, () => first.messages.length + second.messages.length === 200, 'all delivered');
        assert.ok(first.messages.length > 0 && second.messages.length > 0, 'both take part');
        for (const key of keys) {
          const [mine, theirs] = [first, second].map(({ messages }) => messages.filter((one) => one.key === key));
          assert.ok(mine!.length === 0 || theirs!.length === 0, `${key} went to both`);
          assert.deepEqual([...mine!, ...theirs!].map(textOf), names(10));
        }
      },
    },
    {
      title: 'messages of different keys that may share a batch keep the order of the calls',
      needs: 'batching',
      async check(fixture) {
        const [transport, topic] = [await fixture.transport(), fixture.topic()];
        const heard = await consume(transport, topic, { type: 'Exclusive' });
        const producer = await produce(transport, topic, { batching: { ...batching, keyed: 'mixed' } });
        const sends = names(100).map((name, at) => producer.send(text(name, { key: `key ${at % 7}` })));
        await producer.flush();
        await Promise.all(sends);
        await eventually(fixture, () => heard.messages.length === 100, 'all delivered');
        assert.deepEqual(heard.texts(), names(100));
        assert.deepEqual(
          heard.messages.map(({ key }) => key),
          names(100).map((_, at) => `key ${at % 7}`),
        );
      },
    },
    {
      title: 'a batch and a single message of the same producer keep the order of the calls',
      needs: 'batching',
      async check(fixture) {
        const [transport, topic] = [await fixture.transport(), fixture.topic()];
        const heard = await consume(transport, topic, { type: 'Exclusive' });
        const producer = await produce(transport, topic, { batching });
        const sends = names(30).map((name, at) => producer.send(text(at % 7 === 0 ? name.padEnd(140_000, ' ') : name)));
        await producer.flush();
        await Promise.all(sends);
        await eventually(fixture, () => heard.messages.length === 30, 'all delivered');
        assert.deepEqual(
          heard.texts().map((one) => one.trimEnd()),
          names(30),
        );
      },
    },
    ...compression.map((kind): TransportCase => ({
      title: `carries batches and single messages whole, compression ${kind}`,
      async check(fixture) {
        const [transport, topic] = [await fixture.transport(), fixture.topic()];
        const heard = await consume(transport, topic);
        const body = 'größe 風 '.repeat(200);
        for (const enabled of [true, false]) {
          const producer = await produce(transport, topic, { batching: { ...batching, enabled }, compression: kind });
          const sends = names(10).map((name) => producer.send(text(`${name} ${body}`, { key: name })));
          await producer.flush();
          await Promise.all(sends);
          await producer.close();
        }
        await eventually(fixture, () => heard.messages.length === 20, 'all delivered');
        assert.ok(heard.messages.every((one) => textOf(one) === `${one.key} ${body}`));
      },
    })),
  ];
}

async function publishBatch(fixture: PulsarTransportFixture, topic: string, from = 0): Promise<void> {
  const producer = await produce(await fixture.transport(), topic, { batching });
  const sends = names(10, from).map((name) => producer.send(text(name)));
  await producer.close();
  await Promise.all(sends);
}
