import assert from 'node:assert/strict';
import { PulsarError, type PulsarErrorCode } from '../pulsar.errors.js';
import type { TransportCase } from './subscription.contract.js';
import {
  type BrokerControl,
  consume,
  eventually,
  names,
  produce,
  type PulsarTransportFixture,
  text,
  textOf,
} from './transport-fixture.js';

const batching = { enabled: true, maxMessages: 20, maxBytes: 131_072, maxDelayMs: 5 };

/** What holds while somebody operates the broker. */
export const operatorCases: readonly TransportCase[] = [
  {
    title: 'a topic of several partitions delivers everything, each key in order',
    needs: 'partitions',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      await controlOf(fixture).partition?.(topic, 3);
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic, { batching });
      const keys = names(10);
      const sends = names(20).flatMap((name) => keys.map((key) => producer.send(text(name, { key }))));
      await Promise.all([...sends, ...names(50).map((name) => producer.send(text(name)))]);
      await eventually(fixture, () => heard.messages.length === 250, 'all delivered');
      for (const key of keys) {
        assert.deepEqual(heard.messages.filter((one) => one.key === key).map(textOf), names(20), key);
      }
      await heard.ackAll();
    },
  },
  {
    title: 'the topics of a namespace are listed by their full names',
    needs: 'topicLists',
    async check(fixture) {
      const [transport, one, other] = [await fixture.transport(), fixture.topic(), fixture.topic()];
      const namespace = one.slice('persistent://'.length, one.lastIndexOf('/'));
      const listed = async (): Promise<readonly string[]> =>
        (await transport.listTopics(namespace)).filter((topic) => topic === one || topic === other);
      assert.deepEqual(await listed(), []);
      await (await produce(transport, one)).send(text('x'));
      assert.deepEqual(await listed(), [one]);
      await consume(transport, other);
      assert.deepEqual(await listed(), [one, other].toSorted());
    },
  },
  {
    title: 'a topic that is moved while it is in use loses nothing and keeps its order',
    needs: 'moves',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { type: 'Exclusive', permits: 100_000 });
      const producer = await produce(transport, topic, { batching });
      const sends: Promise<unknown>[] = [];
      let next = 0;
      for (let round = 0; round < 3; round++) {
        for (let burst = 0; burst < 10; burst++) {
          sends.push(...names(20, next).map((name) => producer.send(text(name))));
          next += 20;
          await fixture.advance(5);
        }
        await controlOf(fixture).unload(topic);
      }
      await Promise.all(sends);
      const seen = (): number => new Set(heard.texts()).size;
      await eventually(fixture, () => seen() === next, 'all delivered');
      const firsts = [...new Set(heard.texts())];
      assert.deepEqual(firsts, names(next));
    },
  },
  {
    title: 'a topic that is terminated refuses further messages for good, and delivers those it has',
    needs: 'ends',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const producer = await produce(transport, topic);
      await producer.send(text('last'));
      await controlOf(fixture).terminate(topic);
      await assert.rejects(producer.send(text('late')), ofCode('SMARTPULSE_PULSAR_TOPIC_TERMINATED'));
      await assert.rejects(produce(transport, topic), ofCode('SMARTPULSE_PULSAR_TOPIC_TERMINATED'));
      const heard = await consume(transport, topic);
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
    },
  },
  {
    title:
      'of the sends that are on their way when their topic is terminated those that are stored are delivered, and those that are refused for sure are not',
    needs: 'ends',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic, { permits: 10_000 });
      // A broker may fence a topic that it terminates under load, and answer nothing more.
      const producer = await produce(transport, topic, { batching, sendTimeoutMs: 5_000 });
      const stored: string[] = [];
      const refused: { readonly name: string; readonly error: unknown }[] = [];
      const send = (name: string): void => {
        producer.send(text(name)).then(
          () => stored.push(name),
          (error: unknown) => refused.push({ name, error }),
        );
      };
      names(200).forEach(send);
      await eventually(fixture, () => stored.length > 0, 'some are stored');
      names(200, 200).forEach(send);
      await controlOf(fixture).terminate(topic);
      await eventually(fixture, () => stored.length + refused.length === 400, 'all are settled');
      const has = (): ReadonlySet<string> => new Set(heard.texts());
      await eventually(fixture, () => stored.every((name) => has().has(name)), 'what is stored comes');
      await fixture.advance(200);
      for (const { name, error } of refused) {
        assert.ok(PulsarError.is(error), String(error));
        assert.ok(error.ambiguous || !has().has(name), `${name} was refused for sure, and came: ${String(error)}`);
      }
    },
  },
  {
    title: 'a topic that is deleted while it is in use begins anew: what is published then is delivered',
    needs: 'deletes',
    async check(fixture) {
      const [transport, topic] = [await fixture.transport(), fixture.topic()];
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      await producer.send(text('before'));
      await eventually(fixture, () => heard.messages.length === 1, 'delivered');
      await heard.ackAll();
      await controlOf(fixture).remove?.(topic);
      // A producer or consumer that does not come back by itself says so, and its owner makes another.
      const sender = await producer.send(text('after')).then(
        () => producer,
        async (error: unknown) => {
          assert.ok(PulsarError.is(error) && error.kind !== 'permanent', String(error));
          const another = await produce(transport, topic);
          await another.send(text('after'));
          return another;
        },
      );
      const again = heard.closed.length > 0 ? await consume(transport, topic) : heard;
      await eventually(fixture, () => again.texts().includes('after'), 'delivered by the new topic');
      await sender.close();
    },
  },
  {
    title: 'a topic of a tenant or namespace that does not exist is a mistake, told at once',
    needs: 'tenants',
    async check(fixture) {
      const transport = await fixture.transport();
      for (const topic of ['persistent://public/nowhere/t', 'persistent://nobody/default/t']) {
        await assert.rejects(produce(transport, topic), ofCode('SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'));
        await assert.rejects(consume(transport, topic), ofCode('SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'));
      }
    },
  },
  {
    title:
      'a topic that nobody made is refused by name where topics are not made by themselves, and serves as soon as it is made',
    needs: 'missing',
    async check(fixture) {
      const [transport, control] = [await fixture.transport(), controlOf(fixture)];
      const topic = await control.missing?.();
      assert.ok(topic, 'the operator names a missing topic');
      // Twice: a refusal that is kept would outlive its reason.
      for (const _attempt of [1, 2]) {
        await assert.rejects(produce(transport, topic), ofCode('SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'));
        await assert.rejects(consume(transport, topic), ofCode('SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'));
      }
      await control.create?.(topic);
      const heard = await consume(transport, topic);
      const producer = await produce(transport, topic);
      await producer.send(text('made'));
      await eventually(fixture, () => heard.texts().includes('made'), 'delivered');
      await heard.ackAll();
    },
  },
];

function controlOf({ broker }: PulsarTransportFixture): BrokerControl {
  assert.ok(broker, 'the fixture has the controls of an operator');
  return broker;
}

function ofCode(code: PulsarErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(PulsarError.is(error), String(error));
    assert.equal(error.code, code);
    return true;
  };
}
