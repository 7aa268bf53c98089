import { type PulsarClient, WireClosedError } from '@smartpulse/pulsar-wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../support/fault-proxy/fault-proxy.js';
import { bytes, numbered, pathOf, textOf, type WireScene } from './wire-scene.js';

/** What a network or an administrator does while messages pass. */
export function disturbances(scene: WireScene): void {
  describe('through a network that fails', () => {
    let proxy: FaultProxy;
    let proxied: PulsarClient;

    beforeAll(async () => {
      proxy = await FaultProxy.before(scene.serviceUrl);
      proxied = scene.clientOf(proxy.url, { keepAliveMs: 1_000 });
    });

    afterAll(async () => {
      await proxied.close();
      await proxy.close();
    });

    it('loses nothing when connections are cut in the middle of everything', async () => {
      const topic = scene.newTopic();
      const receiver = await scene.receive({ topic, type: 'Exclusive' }, { of: proxied });
      const producer = await proxied.createProducer({
        topic,
        batching: { maxDelayMs: 1, maxMessages: 20 },
        maxPendingMessages: 1_000,
      });
      const texts = numbered(6_000);
      const sending = (async () => {
        const sent: Promise<unknown>[] = [];
        for (const [index, text] of texts.entries()) {
          sent.push(producer.send({ payload: bytes(text) }));
          if (index % 100 === 99) {
            await scene.clock.sleep(2);
          }
        }
        await Promise.all(sent);
      })();
      for (let cut = 0; cut < 5; cut++) {
        await scene.clock.sleep(40);
        proxy.cut();
      }
      await sending;
      const seen = new Set<string>();
      while (seen.size < texts.length) {
        await scene.clock.sleep(20);
        receiver.messages.forEach((message) => seen.add(textOf(message)));
      }

      // The first time that each came keeps the order in which it was sent.
      expect([...seen]).toEqual(texts);
      expect(receiver.closed).toEqual([]);
      await producer.close();
    });

    it('reads a stream that comes byte by byte', async () => {
      proxy.split(1, 'toClient');
      const topic = scene.newTopic();
      const { messages, until } = await scene.receive({ topic }, { of: proxied });
      const producer = await proxied.createProducer({ topic });
      const sent = numbered(20).map((text) => producer.send({ payload: bytes(text) }));
      await producer.close();
      await Promise.all(sent);
      await until(20);
      proxy.calm();

      expect(messages.map(textOf)).toEqual(numbered(20));
    });

    it('notices that the other side is gone although the connection stands', async () => {
      const topic = scene.newTopic();
      const producer = await proxied.createProducer({ topic, batching: { maxDelayMs: 0 } });
      proxy.silence();
      await producer.send({ payload: bytes('after the silence') });
      await producer.close();
    });
  });

  describe('with an administrator', () => {
    it('comes through the unloading of its topic under load without a loss', async () => {
      const topic = scene.newTopic();
      const receiver = await scene.receive({ topic });
      const producer = await scene.client.createProducer({
        topic,
        batching: { maxDelayMs: 1 },
        maxPendingMessages: 2_000,
      });
      const texts = numbered(3_000);
      const pending: Promise<unknown>[] = [];
      const sending = (async () => {
        for (const [index, text] of texts.entries()) {
          pending.push(producer.send({ payload: bytes(text) }));
          if (index % 20 === 19) {
            await scene.clock.sleep(5);
          }
        }
      })();
      for (let time = 0; time < 2; time++) {
        await scene.clock.sleep(200);
        await scene.admin.unloadTopic(pathOf(topic));
      }
      await sending;
      await Promise.all(pending);
      while (new Set(receiver.messages.map(textOf)).size < texts.length) {
        await scene.clock.sleep(20);
      }
      expect(receiver.closed).toEqual([]);
      await producer.close();
    });

    it('tells of the end of a terminated topic', async () => {
      const topic = scene.newTopic();
      const producer = await scene.client.createProducer({ topic, batching: { maxDelayMs: 0 } });
      await producer.send({ payload: bytes('last') });
      let onEnd: (() => void) | undefined;
      const ended = new Promise<void>((resolve) => {
        onEnd = resolve;
      });
      const consumer = await scene.client.subscribe(
        { topic, subscription: 's', initialPosition: 'earliest' },
        {
          onMessage: (message) => {
            void consumer.ack(message.id);
          },
          onClosed: () => {},
          onEndOfTopic: () => onEnd?.(),
        },
      );
      consumer.permit(10);
      await scene.admin.terminateTopic(pathOf(topic));
      const terminated = { code: 'SMARTPULSE_WIRE_BROKER_TOPIC_TERMINATED_ERROR', kind: 'permanent' };
      const closed = { code: 'SMARTPULSE_WIRE_CLOSED', kind: 'recreate', ambiguous: false, cause: terminated };
      const tooLate = await producer.send({ payload: bytes('too late') }).catch((error: unknown) => error);
      // The broker refuses the message, or the producer's return before the message is sent.
      expect(tooLate).toMatchObject(WireClosedError.is(tooLate) ? closed : terminated);
      await expect(producer.send({ payload: bytes('later still') })).rejects.toMatchObject(closed);
      await ended;
    });

    it('produces to and consumes from all partitions', async () => {
      const topic = scene.newTopic();
      await scene.admin.createTopic(pathOf(topic), 4);
      const receiver = await scene.receive({ topic });
      const producer = await scene.client.createProducer({ topic, batching: { maxMessages: 10 } });
      const sent = numbered(400).map((text, index) =>
        producer.send(index % 2 === 0 ? { payload: bytes(text) } : { payload: bytes(text), key: `key-${index % 20}` }),
      );
      await producer.close();
      await Promise.all(sent);
      await receiver.until(400);

      expect(new Set(receiver.messages.map(textOf))).toEqual(new Set(numbered(400)));
      expect(new Set(receiver.messages.map(({ topic: partition }) => partition)).size).toBe(4);
      await Promise.all(receiver.messages.map(({ id }) => receiver.consumer.ack(id)));
    });
  });
}
