import {
  type ClientEvent,
  type ConsumerOptions,
  MessageId,
  PulsarClient,
  type ReceivedMessage,
  type WireConsumer,
  type WireProducer,
  type WireReader,
} from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { pathOf, textOf } from './wire-scene.js';

const clock = new SystemClock();
const random = new SystemRandom();
const CHECK_MS = 200;
let client: PulsarClient;
let events: ClientEvent[];
let topics = 0;

const newTopic = (): string => `persistent://public/default/places-${topics++}`;
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `m-${from + index}`);

/** Publishes one by one, so that each has a time of its own. */
async function publish(producer: WireProducer, texts: readonly string[]): Promise<readonly MessageId[]> {
  const ids: MessageId[] = [];
  for (const text of texts) {
    ids.push(await producer.send({ payload: Buffer.from(text), key: `k-${text}` }));
  }
  return ids;
}

/** A time between two messages, in milliseconds since 1970. */
async function betweenTwo(): Promise<number> {
  await clock.sleep(20);
  const timeMs = clock.now();
  await clock.sleep(20);
  return timeMs;
}

async function read(reader: WireReader, count: number): Promise<readonly string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    texts.push(textOf(await reader.next(AbortSignal.timeout(15_000))));
  }
  return texts;
}

async function consume(options: Omit<ConsumerOptions, 'subscription'>, permits = 1_000) {
  const messages: ReceivedMessage[] = [];
  const consumer: WireConsumer = await client.subscribe(
    { subscription: 's', ...options },
    { onMessage: (message) => messages.push(message), onClosed: (error) => expect.unreachable(error.message) },
  );
  consumer.permit(permits);
  return { consumer, messages };
}

/** Times and ends of topics, their partitions, and bounds in bytes. */
export function places(pulsar: () => PulsarStandalone): void {
  beforeAll(() => {
    events = [];
    client = new PulsarClient({
      serviceUrl: pulsar().serviceUrl,
      clock,
      random,
      partitionsCheckMs: CHECK_MS,
      onEvent: (event) => events.push(event),
    });
  });
  afterEach(() => {
    expect(events.filter(({ type }) => type === 'entry-dropped')).toEqual([]);
    events.length = 0;
  });
  afterAll(async () => {
    await client?.close();
  });

  it('a reader begins with what was published at a time', async () => {
    const topic = newTopic();
    const producer = await client.createProducer({ topic });
    await publish(producer, numbered(0, 3));
    const startPublishTimeMs = await betweenTwo();
    await publish(producer, numbered(3, 6));
    const reader = await client.createReader({ topic, startPublishTimeMs });

    expect(await reader.hasNext()).toBe(true);
    expect(await read(reader, 3)).toEqual(numbered(3, 6));
    expect(await reader.hasNext()).toBe(false);
    await publish(producer, ['m-6']);
    expect(await reader.hasNext()).toBe(true);
    expect(await read(reader, 1)).toEqual(['m-6']);
    await reader.close();
  });

  it('a reader keeps the time that it sought when its topic moves before the first message was taken, and its place afterwards', async () => {
    const topic = newTopic();
    const producer = await client.createProducer({ topic });
    await publish(producer, numbered(0, 3));
    const publishTimeMs = await betweenTwo();
    await publish(producer, numbered(3, 9));
    const reader = await client.createReader({ topic, startMessageId: MessageId.latest, queueSize: 1 });

    await reader.seek({ publishTimeMs });
    await pulsar().admin.unloadTopic(pathOf(topic));
    expect(await read(reader, 2)).toEqual(numbered(3, 5));
    await pulsar().admin.unloadTopic(pathOf(topic));
    expect(await read(reader, 4)).toEqual(numbered(5, 9));
    await reader.seek({ publishTimeMs });
    expect(await read(reader, 6)).toEqual(numbered(3, 9));
    await reader.close();
  });

  it('a reader of a topic with partitions reads all of them, each in its order, and finds their ends and a time', async () => {
    const topic = newTopic();
    await pulsar().admin.createTopic(pathOf(topic), 3);
    const producer = await client.createProducer({ topic });
    await publish(producer, numbered(0, 30));
    const publishTimeMs = await betweenTwo();
    await publish(producer, numbered(30, 60));
    const reader = await client.createReader({ topic, startMessageId: MessageId.earliest });

    const texts = await read(reader, 60);
    expect([...texts].sort()).toEqual(numbered(0, 60).sort());
    expect(await reader.hasNext()).toBe(false);
    const ends = await reader.lastMessageIds();
    expect(ends.map(({ partition }) => partition)).toEqual([0, 1, 2]);
    await reader.seek({ publishTimeMs });
    expect([...(await read(reader, 30))].sort()).toEqual(numbered(30, 60).sort());
    await reader.close();
  });

  it('a topic that grows is produced to, consumed from and read on its new partitions, and nothing published meanwhile is missed', async () => {
    const topic = newTopic();
    await pulsar().admin.createTopic(pathOf(topic), 1);
    const { consumer, messages } = await consume({ topic, type: 'Key_Shared', initialPosition: 'latest' });
    const reader = await client.createReader({ topic, startMessageId: MessageId.latest });
    const producer = await client.createProducer({ topic });
    await publish(producer, numbered(0, 10));
    await pulsar().admin.request('POST', `/admin/v2/persistent/${pathOf(topic)}/partitions`, 4);
    // Knows the new partitions at once; the others learn of them later.
    const early = new PulsarClient({ serviceUrl: pulsar().serviceUrl, clock, random });
    await publish(await early.createProducer({ topic }), numbered(10, 40));
    await early.close();
    await expect
      .poll(() => events.filter(({ type }) => type === 'partitions-added').length, { timeout: 10_000 })
      .toBe(3);
    const ids = await publish(producer, numbered(40, 80));

    expect(new Set(ids.map(({ partition }) => partition))).toEqual(new Set([0, 1, 2, 3]));
    await expect.poll(() => messages.length, { timeout: 10_000 }).toBe(80);
    expect([...(await read(reader, 80))].sort()).toEqual(numbered(0, 80).sort());
    await Promise.all(messages.map(({ id }) => consumer.ack(id)));
    await consumer.close();
    await reader.close();
  });

  it('keeps back what does not fit into prefetchBytes, whatever its permits say, and goes on as messages are done with', async () => {
    const topic = newTopic();
    const producer = await client.createProducer({ topic, batching: { enabled: false } });
    const payload = Buffer.alloc(100_000, 'x');
    await Promise.all(Array.from({ length: 60 }, () => producer.send({ payload })));
    const { consumer, messages } = await consume({
      topic,
      type: 'Shared',
      initialPosition: 'earliest',
      prefetchBytes: 1_000_000,
    });
    await expect.poll(() => messages.length, { timeout: 5_000 }).toBe(10);
    await clock.sleep(200);
    expect(messages).toHaveLength(10);

    for (let done = 0; done < 60; done++) {
      await expect.poll(() => messages.length, { timeout: 5_000 }).toBeGreaterThan(done);
      expect(messages.length - done).toBeLessThanOrEqual(10);
      await consumer.ack(messages[done]?.id ?? expect.unreachable());
      consumer.permit(1);
    }
    expect(messages).toHaveLength(60);
    await consumer.close();
  });
}
