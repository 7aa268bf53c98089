import { Logger, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PulsarConnection, PulsarModule, type PulsarModuleOptions, PulsarPublisher } from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;
const open: { close(): Promise<void> }[] = [];

/** An app that publishes, as its own process would. */
async function publisherOf(producer: NonNullable<PulsarModuleOptions['producer']>, url = pulsar.serviceUrl) {
  const AppModule: Type = class {};
  Module({
    imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url, namespace: 'public/default', producer })],
  })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  open.push(app);
  return { app, publisher: app.get(PulsarPublisher), transport: app.get(PulsarConnection).transport };
}

describe.runIf(runtime !== undefined)('publishing to a real broker', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { deduplication: true });
    }
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  it.each([
    ['wire', 500],
    ['websocket', 100],
  ] as const)(
    'makes a producer for each of many topics whose first publishes come at once, and says of those beyond its pool that they were not sent: by %s, %i',
    async (name, count) => {
      const url = name === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl;
      const topics = Array.from({ length: count }, (_, at) => `storm-${name}-${at}`);
      const ample = await publisherOf({ batching: false, poolMax: count }, url);
      await Promise.all(topics.map((topic, at) => ample.publisher.publish(topic, at)));

      const scarce = await publisherOf({ batching: false, poolMax: count / 2 }, url);
      let left: readonly string[] = topics;
      for (let round = 0; round < 2; round++) {
        const outcomes = await Promise.allSettled(left.map((topic, at) => scarce.publisher.publish(topic, at)));
        const refused = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
        );
        for (const error of refused) {
          expect(error).toMatchObject({ code: 'SMARTPULSE_PULSAR_POOL_FULL', kind: 'backpressure', ambiguous: false });
        }
        expect(refused).toHaveLength(round === 0 ? count / 2 : 0);
        left = left.filter((_, at) => outcomes[at]?.status === 'rejected');
      }
      // One by each app.
      const entries = await Promise.all(topics.map((topic) => pulsar.admin.entries(`public/default/${topic}`)));
      expect(new Set(entries)).toEqual(new Set([2]));
    },
  );

  it('compresses topic by topic, as is said for each', async () => {
    const { publisher } = await publisherOf({
      batching: false,
      topics: { 'sizes-zstd': { compression: 'zstd' }, 'sizes-lz4': { compression: 'lz4' } },
    });
    const topics = ['sizes-plain', 'sizes-zstd', 'sizes-lz4'];
    const data = { text: 'so many words again and again '.repeat(400) };
    for (const topic of topics) {
      await publisher.publish(topic, data);
    }
    const [plain = 0, ...compressed] = await Promise.all(
      topics.map(async (topic) => (await pulsar.admin.topicStats(`public/default/${topic}`)).storageSize),
    );
    expect(plain).toBeGreaterThan(10_000);
    for (const size of compressed) {
      expect(size).toBeLessThan(plain / 10);
    }
  });

  it('stores each sequence id once, in order, though an app that died sends them again', async () => {
    const first = await publisherOf({ batching: false, producerName: 'relay' });
    const items = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => ({
        data: from + index,
        options: { sequenceId: BigInt(from + index) },
      }));
    await first.publisher.publishMany('once', items(1, 50));
    await first.app.close();
    const second = await publisherOf({ batching: false, producerName: 'relay' });
    const outcomes = await second.publisher.publishMany('once', items(30, 80));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);

    const texts: string[] = [];
    const consumer = await second.transport.subscribe(
      {
        topic: 'persistent://public/default/once',
        subscription: 'reader',
        type: 'Exclusive',
        initialPosition: 'earliest',
        durable: false,
      },
      { onMessage: ({ payload }) => void texts.push(Buffer.from(payload).toString()), onClosed: () => undefined },
    );
    consumer.permit(1_000);
    await second.publisher.publish('once', 'end', { sequenceId: 81n });
    await expect.poll(() => texts.at(-1), { timeout: 20_000 }).toBe('"end"');
    expect(texts).toEqual([...Array.from({ length: 80 }, (_, index) => String(index + 1)), '"end"']);
    await consumer.close();
  });

  it('says what to do when another instance holds the producer name, and publishes when it has let go', async () => {
    const first = await publisherOf({ batching: false, producerName: 'the one' });
    await first.publisher.publish('named', 1);
    const second = await publisherOf({ batching: false, producerName: 'the one' });
    await expect(second.publisher.publish('named', 2)).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_PRODUCER_BUSY',
      message: expect.stringContaining('one instance at a time'),
    });
    await first.app.close();
    await second.publisher.publish('named', 2);
  });
});
