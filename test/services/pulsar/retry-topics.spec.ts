import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ConsumerOptions,
  type MessageHandler,
  PulsarConsumers,
  PulsarModule,
  PulsarPublisher,
} from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { JavaPeers } from '../../support/pulsar-peers/java.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const WAIT = { timeout: 60_000, interval: 100 };
const runtime = await runtimeForTests();
const compiled = runtime && (await JavaPeers.compile(runtime, 'InteropPeer.java'));
const java = compiled?.available === true ? compiled.value : undefined;
let pulsar: PulsarStandalone;
const closers: (() => Promise<void>)[] = [];

/** What the Java client tells of messages that it took. */
interface Retried {
  readonly messages: readonly {
    readonly payload: string;
    readonly topic: string;
    readonly properties: Readonly<Record<string, string>>;
  }[];
}

async function start(url: string): Promise<{ publisher: PulsarPublisher; consumers: PulsarConsumers }> {
  @Module({
    imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url, namespace: 'public/default' })],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  closers.push(() => app.close());
  return { publisher: app.get(PulsarPublisher), consumers: app.get(PulsarConsumers) };
}

const options = (topic: string): ConsumerOptions<number> => ({
  topic,
  subscription: 's',
  initialPosition: 'earliest',
  concurrency: 10,
  maxAttempts: 4,
  backoff: { initialMs: 500, jitter: 'none' },
  retry: { mode: 'retry-topic', keyOrder: 'given-up' },
});

describe.runIf(runtime !== undefined)('retry topics on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterEach(async () => {
    await Promise.all(closers.splice(0).map((close) => close()));
  });
  afterAll(async () => {
    await pulsar?.stop();
    java?.[Symbol.dispose]();
  });

  it.each(['wire', 'websocket'])(
    'count over a restart of the app, lose nothing and leave nothing, by %s',
    async (name) => {
      const url = name === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl;
      const topic = `retries-${name}`;
      const runs = new Map<number, number[]>();
      const handler: MessageHandler<number> = (number, { attempt }) => {
        runs.set(number, [...(runs.get(number) ?? []), attempt]);
        if (attempt < 3) {
          throw new Error('Not yet.');
        }
      };
      const first = await start(url);
      await first.consumers.register(options(topic), handler);
      await Promise.all(Array.from({ length: 50 }, (_, number) => first.publisher.publish(topic, number)));
      await expect.poll(() => runs.size, WAIT).toBe(50);
      await Promise.all(closers.splice(0).map((close) => close()));

      const second = await start(url);
      await second.consumers.register(options(topic), handler);
      await expect.poll(() => [...runs.values()].filter((attempts) => attempts.at(-1) === 3).length, WAIT).toBe(50);
      // Over the restart each run counts on from the one before; one that was cut off by it may have come twice.
      expect(
        [...runs.values()].every((attempts) => attempts.every((attempt, at) => attempt <= at + 1 && attempt <= 3)),
      ).toBe(true);
      for (const of of [topic, `${topic}-s-RETRY`]) {
        await expect
          .poll(
            async () => (await pulsar.admin.topicStats(`public/default/${of}`)).subscriptions['s']?.msgBacklog,
            WAIT,
          )
          .toBe(0);
      }
    },
  );

  it.each(['wire', 'websocket'])(
    'that are refused for good cost nothing: messages come again with their count, and become dead letters, by %s',
    async (name) => {
      const [topic, count] = [`retries-refused-${name}`, 5];
      const path = `public/default/${topic}`;
      await pulsar.admin.createTopic(`${path}-s-RETRY`);
      await pulsar.admin.terminateTopic(`${path}-s-RETRY`);
      const { consumers, publisher } = await start(name === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl);
      const runs = new Map<number, number[]>();
      const backoff = { initialMs: 100, maxMs: 300, jitter: 'none' } as const;
      const handle = await consumers.register({ ...options(topic), maxAttempts: 3, backoff }, (number, { attempt }) => {
        runs.set(number, [...(runs.get(number) ?? []), attempt]);
        throw new Error('Never.');
      });
      await Promise.all(Array.from({ length: count }, (_, number) => publisher.publish(topic, number)));

      await expect.poll(() => handle.stats().deadLettered, WAIT).toBe(count);
      expect([...runs.values()]).toEqual(Array.from({ length: count }, () => [1, 2, 3]));
      expect(await pulsar.admin.entries(`${path}-s-DLQ`)).toBe(count);
      expect(await pulsar.admin.entries(`${path}-s-RETRY`)).toBe(0);
      await expect.poll(async () => (await pulsar.admin.topicStats(path)).subscriptions['s']?.msgBacklog, WAIT).toBe(0);
    },
  );

  it.runIf(java !== undefined)('take what the Java client put there, with its count, and are taken by it', async () => {
    const peer = java?.start('InteropPeer', [pulsar.serviceUrl]);
    closers.push(async () => peer?.close());
    const topic = 'persistent://public/default/retries-java';
    const app = await start(pulsar.serviceUrl);
    await app.publisher.publish(topic, 7, { key: 'k', properties: { own: 'x' } });
    // The Java client takes it once and puts it off.
    const byJava = await peer?.ask<Retried>({
      kind: 'reconsume',
      topic,
      subscription: 's',
      times: 1,
      delayMs: 500,
      count: 1,
    });
    expect(byJava?.messages).toMatchObject([{ topic, properties: { own: 'x' } }]);

    const attempts: [number, Readonly<Record<string, string>>][] = [];
    // Brokers deliver up to a tick, a second, too early: the next delay leaves time to hand over.
    const slow = { ...options(topic), backoff: { initialMs: 2_500, jitter: 'none' } } as const;
    const consumer = await app.consumers.register(slow, (_, { attempt, properties }) => {
      attempts.push([attempt, properties]);
      throw new Error('Never.');
    });
    await expect.poll(() => attempts.length, WAIT).toBe(1);
    expect(attempts[0]).toMatchObject([2, { RECONSUMETIMES: '1', REAL_TOPIC: topic, own: 'x' }]);
    await consumer.close();

    // And the Java client takes what this one put off: the count goes on.
    const back = await peer?.ask<Retried>({
      kind: 'reconsume',
      topic,
      subscription: 's',
      times: 2,
      delayMs: 500,
      count: 1,
    });
    expect(back?.messages).toMatchObject([
      {
        topic: `${topic}-s-RETRY`,
        properties: { RECONSUMETIMES: '2', REAL_TOPIC: topic, REAL_SUBSCRIPTION: 's', own: 'x' },
      },
    ]);
    expect(Buffer.from(back?.messages[0]?.payload ?? '', 'base64').toString()).toBe('7');
  });
});
