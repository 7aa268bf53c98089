import { expect, it } from 'vitest';
import { bytes, numbered, pathOf, textOf, type WireScene } from './wire-scene.js';

/** What is carried, and what becomes of it. */
export function messages(scene: WireScene): void {
  it.each(['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const)(
    'carries a message whole, compression %s',
    async (compression) => {
      const topic = scene.newTopic();
      const producer = await scene.client.createProducer({ topic, compression });
      const payload = bytes('größe 風 '.repeat(500));
      const sent = [
        producer.send({ payload, key: 'schlüssel', properties: { a: '1', ü: '風', empty: '' }, eventTimeMs: 1_234 }),
        producer.send({ payload, orderingKey: Buffer.from([1, 2, 255]) }),
        producer.send({ payload: new Uint8Array(0) }),
        producer.send({ payload: null, key: 'gone' }),
      ];
      await producer.close();
      const ids = await Promise.all(sent);
      const { messages, until } = await scene.receive({ topic });
      await until(4);

      const byId = new Map(messages.map((message) => [String(message.id), message]));
      const [full, ordered, empty, gone] = ids.map((id) => byId.get(String(id)));
      expect(full).toMatchObject({
        key: 'schlüssel',
        properties: { a: '1', ü: '風', empty: '' },
        eventTimeMs: 1_234,
        topic,
      });
      expect(Buffer.from(full?.payload ?? []).equals(payload)).toBe(true);
      expect([...(ordered?.orderingKey ?? [])]).toEqual([1, 2, 255]);
      expect([empty?.payload.length, empty?.isTombstone, gone?.isTombstone, gone?.key]).toEqual([
        0,
        false,
        true,
        'gone',
      ]);
    },
  );

  it('carries 20,000 messages in order and acknowledges them all', async () => {
    const topic = scene.newTopic();
    const texts = numbered(20_000);
    const [, receiver] = await Promise.all([
      scene.publish(topic, texts, { maxPendingMessages: 5_000, batching: { maxDelayMs: 1 } }),
      scene.receive({ topic, type: 'Exclusive' }),
    ]);
    await receiver.until(texts.length);

    expect(receiver.messages.map(textOf)).toEqual(texts);
    await Promise.all(receiver.messages.map(({ id }) => receiver.consumer.ack(id)));
    await receiver.consumer.close();
    const again = await scene.receive({ topic, type: 'Exclusive' });
    await scene.publish(topic, ['last']);
    await again.until(1);
    expect(again.messages.map(textOf)).toEqual(['last']);
  });

  it('refuses what is too large, carries what just fits, and keeps the connection', async () => {
    const topic = scene.newTopic();
    const producer = await scene.client.createProducer({ topic });
    await expect(producer.send({ payload: new Uint8Array(5 * 1024 * 1024 + 1) })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_MESSAGE_TOO_LARGE',
    });
    const { messages, until } = await scene.receive({ topic });
    await producer.send({ payload: new Uint8Array(5 * 1024 * 1024 - 200).fill(7) });
    await until(1);
    expect(messages[0]?.payload.length).toBe(5 * 1024 * 1024 - 200);
    await producer.close();
  });

  it('delays a message, beside others that come at once', async () => {
    const topic = scene.newTopic();
    const { messages, until } = await scene.receive({ topic });
    const producer = await scene.client.createProducer({ topic, batching: { maxDelayMs: 0 } });
    await producer.send({ payload: bytes('later'), deliverAtMs: scene.clock.now() + 2_500 });
    await producer.send({ payload: bytes('now') });
    const startMs = scene.clock.monotonic();
    await until(2);

    expect(messages.map(textOf)).toEqual(['now', 'later']);
    expect(scene.clock.monotonic() - startMs).toBeGreaterThan(1_000);
    await producer.close();
  });

  it('brings back the items of a batch that were not acknowledged, and only those', async () => {
    const topic = scene.newTopic();
    await scene.publish(topic, numbered(10));
    const first = await scene.receive({ topic });
    await first.until(10);
    await Promise.all(
      [0, 2, 4, 6, 8].flatMap((index) => first.messages[index]?.id ?? []).map((id) => first.consumer.ack(id)),
    );
    await first.consumer.close();

    const second = await scene.receive({ topic });
    await second.until(5);

    expect(second.messages.map(textOf)).toEqual(['m-1', 'm-3', 'm-5', 'm-7', 'm-9']);
  });

  it('brings back a message that was given back, with its count', async () => {
    const topic = scene.newTopic();
    await scene.publish(topic, numbered(3));
    const { consumer, messages, until } = await scene.receive({ topic });
    await until(3);
    const second = messages[1];
    if (second === undefined) {
      throw new Error('there is no second message');
    }
    const startMs = scene.clock.monotonic();
    consumer.nack(second.id, 300);
    await until(4);

    expect(scene.clock.monotonic() - startMs).toBeGreaterThanOrEqual(300);
    expect(messages.slice(3).map((message) => [textOf(message), message.redeliveryCount])).toEqual([['m-1', 1]]);
  });

  it('gives everything back in order on an exclusive subscription', async () => {
    const topic = scene.newTopic();
    await scene.publish(topic, numbered(5), { batching: { enabled: false } });
    const { consumer, messages, until } = await scene.receive({ topic, type: 'Exclusive' });
    await until(5);
    await consumer.ackCumulative(messages[1]?.id ?? expect.unreachable());
    consumer.nack(messages[2]?.id ?? expect.unreachable());
    await until(8);

    expect(messages.map(textOf)).toEqual([...numbered(5), 'm-2', 'm-3', 'm-4']);
  });

  it('brings back by itself what nobody acknowledged in time, and nothing else', async () => {
    const topic = scene.newTopic();
    await scene.publish(topic, numbered(10));
    const startMs = scene.clock.monotonic();
    const { consumer, messages, until } = await scene.receive({ topic, ackTimeoutMs: 1_000 });
    await until(10);
    const left = new Set(['m-3', 'm-7']);
    await Promise.all(messages.filter((message) => !left.has(textOf(message))).map(({ id }) => consumer.ack(id)));
    await until(12);

    expect(scene.clock.monotonic() - startMs).toBeGreaterThanOrEqual(1_000);
    const again = messages.slice(10);
    expect(new Set(again.map(textOf))).toEqual(left);
    expect(again.map(({ redeliveryCount }) => redeliveryCount)).toEqual([1, 1]);
    await Promise.all(again.map(({ id }) => consumer.ack(id)));
    await scene.clock.sleep(1_300);
    expect(messages).toHaveLength(12);
    await consumer.close();
    expect((await scene.admin.topicStats(pathOf(topic))).subscriptions['s']?.msgBacklog).toBe(0);
  });
}
