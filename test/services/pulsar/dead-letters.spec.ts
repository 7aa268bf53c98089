import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type DeadLetter, PulsarConsumers, PulsarDeadLetters, PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
const MESSAGES = 40;
const IDLE = { idleMs: 1_500 };
let pulsar: PulsarStandalone;
const closers: (() => Promise<void>)[] = [];

async function start(url: string, topic: string) {
  @Module({
    imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url, namespace: 'public/default' })],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  closers.push(() => app.close());
  const plant = { mended: false };
  const handled: { readonly number: number; readonly properties: Readonly<Record<string, string>> }[] = [];
  const failed: number[] = [];
  const handle = await app.get(PulsarConsumers).register<number>(
    {
      id: topic,
      topic,
      subscription: 's',
      type: 'Key_Shared',
      concurrency: 10,
      maxAttempts: 1,
      backoff: { initialMs: 100, maxMs: 300 },
    },
    (number, { properties }) => {
      if (!plant.mended) {
        failed.push(number);
        throw new TypeError(`cannot bear ${number}`);
      }
      handled.push({ number, properties });
    },
  );
  return { publisher: app.get(PulsarPublisher), letters: app.get(PulsarDeadLetters), plant, handled, failed, handle };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const even = ({ key }: DeadLetter): boolean => Number(key) % 2 === 0;

describe.runIf(runtime !== undefined)('dead letters on a real broker', () => {
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
  });

  it.each(['wire', 'websocket'])('are shown, replayed and purged by the %s transport', async (transport) => {
    const topic = `letters-${transport}`;
    const url = transport === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl;
    const { publisher, letters, plant, handled } = await start(url, topic);
    for (const number of numbers(MESSAGES)) {
      await publisher.publish(topic, number, { key: String(number), properties: { own: 'yes' } });
    }
    await vi.waitUntil(async () => (await pulsar.admin.entries(`public/default/${topic}-s-DLQ`)) === MESSAGES, {
      timeout: 20_000,
      interval: 100,
    });

    // Nothing retains them but the subscription that they came with.
    await pulsar.admin.unloadTopic(`public/default/${topic}-s-DLQ`);
    await expect(letters.count(topic, IDLE)).resolves.toBe(MESSAGES);
    const shown = await letters.peek(topic, { ...IDLE, limit: 5 });
    expect(shown).toHaveLength(5);
    expect(shown[0]).toMatchObject({
      reason: 'failed',
      exceptionType: 'TypeError',
      attempts: 1,
      originalTopic: `persistent://public/default/${topic}`,
      subscription: 's',
      properties: { own: 'yes' },
    });

    plant.mended = true;
    const replay = await letters.replay(topic, { ...IDLE, filter: even });
    expect(replay).toEqual({ done: MESSAGES / 2, left: MESSAGES / 2 });
    await vi.waitUntil(() => handled.length >= MESSAGES / 2, { timeout: 20_000, interval: 50 });
    expect(handled.map(({ number }) => number).toSorted((one, other) => one - other)).toEqual(
      numbers(MESSAGES).filter((number) => number % 2 === 0),
    );
    expect(handled[0]?.properties).toMatchObject({
      own: 'yes',
      'x-replayed-from': expect.stringContaining(`persistent://public/default/${topic}-s-DLQ `) as string,
    });
    expect(handled[0]?.properties).not.toHaveProperty('x-reason');

    const left = await letters.peek(topic, { ...IDLE, limit: MESSAGES });
    expect(left.map(({ key }) => Number(key)).toSorted((one, other) => one - other)).toEqual(
      numbers(MESSAGES).filter((number) => number % 2 === 1),
    );
    await expect(letters.purge(topic, IDLE)).resolves.toEqual({ done: MESSAGES / 2, left: 0 });
    await expect(letters.peek(topic, IDLE)).resolves.toEqual([]);
  });

  it.each(['wire', 'websocket'])(
    'that are refused for good leave their messages unacknowledged, and are stored once the broker takes them, by %s',
    async (transport) => {
      const [topic, count] = [`letters-refused-${transport}`, 5];
      const [path, letterPath] = [`public/default/${topic}`, `public/default/${topic}-s-DLQ`];
      await pulsar.admin.createTopic(letterPath);
      await pulsar.admin.terminateTopic(letterPath);
      const url = transport === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl;
      const { publisher, handle, failed } = await start(url, topic);
      const backlog = async (): Promise<number | undefined> =>
        (await pulsar.admin.topicStats(path)).subscriptions['s']?.msgBacklog;
      await Promise.all(numbers(count).map((number) => publisher.publish(topic, number, { key: String(number) })));
      // Each comes again, and is refused again.
      await vi.waitUntil(() => handle.stats().nacked >= 3 * count, { timeout: 20_000, interval: 20 });
      expect(handle.stats()).toMatchObject({ acked: 0, deadLettered: 0 });
      expect(await backlog()).toBe(count);

      await pulsar.admin.deleteTopic(letterPath);
      await vi.waitUntil(() => handle.stats().deadLettered === count, { timeout: 20_000, interval: 20 });
      await expect.poll(backlog, { timeout: 10_000 }).toBe(0);
      expect(await pulsar.admin.entries(letterPath)).toBe(count);
      // What is to be stored has been handled: the handler is not asked again.
      expect(failed.toSorted((one, other) => one - other)).toEqual(numbers(count));
    },
  );

  it('come again when the broker dies in the middle of a replay: each is handled at least once', async () => {
    const topic = 'letters-killed';
    const { publisher, letters, plant, handled } = await start(pulsar.serviceUrl, topic);
    for (const number of numbers(MESSAGES)) {
      await publisher.publish(topic, number, { key: String(number) });
    }
    await vi.waitUntil(async () => (await pulsar.admin.entries(`public/default/${topic}-s-DLQ`)) === MESSAGES, {
      timeout: 20_000,
      interval: 100,
    });
    plant.mended = true;
    let killed: Promise<void> | undefined;
    const interrupted = letters.replay(topic, {
      ...IDLE,
      onProgress: ({ done }) => {
        if (done >= 10) {
          killed ??= pulsar.kill().then(() => pulsar.restart());
        }
      },
    });
    // It may get through by the reconnect, or end with the failure of one letter.
    await Promise.allSettled([interrupted]);
    await killed;
    expect(killed).toBeDefined();
    await vi.waitUntil(
      async () => {
        await letters.replay(topic, IDLE);
        return new Set(handled.map(({ number }) => number)).size === MESSAGES;
      },
      { timeout: 90_000, interval: 500 },
    );
  });
});
