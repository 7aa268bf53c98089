import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Payload,
  PulsarError,
  PulsarModule,
  PulsarPublisher,
  PulsarSubscribe,
  type PulsarTransport,
  type TransportProducer,
} from '@smartpulse/pulsar';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { enableGracefulShutdown, ResilienceModule, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const transports: readonly {
  readonly name: string;
  /** Sends that were on the way when the connection broke are sent again by the transport itself. */
  readonly resends: boolean;
  readonly url: () => string;
  readonly make: (url: string) => PulsarTransport;
}[] = [
  {
    name: 'wire',
    resends: true,
    url: () => pulsar.serviceUrl,
    make: (url) =>
      new WireTransport(
        { url, token: undefined, tls: undefined, connectTimeoutMs: 5_000, operationTimeoutMs: 60_000 },
        { clock, random },
      ),
  },
  {
    name: 'websocket',
    resends: false,
    url: () => pulsar.webSocketUrl,
    make: (url) =>
      new WebSocketTransport(
        { url, token: undefined, tls: undefined, connectTimeoutMs: 5_000, operationTimeoutMs: 60_000 },
        { clock, random },
      ),
  },
];

const KEYS = 8;

describe.runIf(runtime !== undefined)('on a real broker that dies and comes back', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { deduplication: true });
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  it.each(transports)(
    'loses nothing that was acknowledged, stores nothing twice by itself and keeps the order per key, with 1,000 sends in flight by $name',
    async ({ name, make, url, resends }) => {
      const [one, two] = [make(url()), make(url())];
      await Promise.all([one.connect(), two.connect()]);
      const topic = `persistent://public/default/outage-${name}`;
      const received: { key: string; at: number; id: string }[] = [];
      const consumer = await two.subscribe(
        { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
        {
          onMessage: ({ id, key = '', payload }) => {
            received.push({ key, at: Number(Buffer.from(payload).toString()), id: String(id) });
            consumer.permit(1);
            void consumer.ack(id).catch(() => undefined);
          },
          onClosed: (error) => expect.fail(String(error)),
        },
      );
      consumer.permit(1_000);
      const producer: TransportProducer = await one.createProducer({
        topic,
        batching: { enabled: true, maxMessages: 50, maxBytes: 131_072, maxDelayMs: 1 },
        maxPendingMessages: 1_000,
        maxPendingBytes: 10_000_000,
        compression: 'none',
        sendTimeoutMs: 0,
      });
      const stored = new Set<number>();
      const refused: unknown[] = [];
      let next = 0;
      const sendMany = (count: number): Promise<void>[] =>
        Array.from({ length: count }, async () => {
          const at = next++;
          try {
            await producer.send({ payload: Buffer.from(String(at)), key: `k${at % KEYS}` });
            stored.add(at);
          } catch (error) {
            refused.push(error);
          }
        });
      await Promise.all(sendMany(1_000));

      const inFlight = sendMany(1_000);
      await pulsar.kill();
      const later = sendMany(1_000);
      await pulsar.restart();
      await Promise.all([...inFlight, ...later]);
      await Promise.all(sendMany(1_000));

      const seen = (): Set<number> => new Set(received.map(({ at }) => at));
      await expect.poll(() => [...stored].filter((at) => !seen().has(at)), { timeout: 60_000 }).toEqual([]);
      expect(refused.every((error) => PulsarError.is(error) && error.ambiguous)).toBe(true);
      if (resends) {
        expect(refused).toEqual([]);
      }
      for (let key = 0; key < KEYS; key++) {
        // A message may come again after the broker forgot an acknowledgement; each comes for the first time in its order.
        const firsts = [...new Set(received.filter((one) => one.key === `k${key}`).map(({ at }) => at))];
        expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
      }
      const places = new Map<number, Set<string>>();
      for (const { at, id } of received) {
        places.set(at, (places.get(at) ?? new Set()).add(id));
      }
      const twice = [...places.values()].filter(({ size }) => size > 1).length;
      // Without sequence ids a message whose acknowledgement was lost is the sender's to send again, and may then stand there twice.
      expect(twice).toBeLessThanOrEqual(resends ? 0 : refused.length);
      await Promise.all([one.close(), two.close()]);
    },
  );

  it.each(transports)('an app on $name publishes, handles, and stops with nothing left over', async ({ name, url }) => {
    const handled: number[] = [];
    class Handler {
      @PulsarSubscribe({ topic: `app-${name}`, subscription: 's', initialPosition: 'earliest', concurrency: 4 })
      handle(@Payload() { at }: { at: number }): void {
        handled.push(at);
      }
    }
    @Module({
      imports: [
        ResilienceModule.forRoot(),
        PulsarModule.forRoot({ url: url(), namespace: 'public/default', producer: { batchMaxDelayMs: 1 } }),
      ],
      providers: [Handler],
    })
    class AppModule {}

    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    enableGracefulShutdown(app, { signals: false });
    const publisher = app.get(PulsarPublisher);
    await Promise.all(
      Array.from({ length: 500 }, (_, at) => publisher.publish(`app-${name}`, { at }, { key: String(at % 10) })),
    );
    await expect.poll(() => handled.length, { timeout: 20_000 }).toBe(500);
    await app.close();
    const stats = await pulsar.admin.topicStats(`public/default/app-${name}`);
    expect(stats.subscriptions['s']?.msgBacklog).toBe(0);
  });
});
