import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  PulsarConsumers,
  PulsarModule,
  type PulsarModuleOptions,
  PulsarPublisher,
  PulsarRegistry,
} from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
const NAMESPACE = 'public/default';
const MESSAGES = 60;
const POLL = { timeout: 30_000, interval: 50 };
const opened: INestApplicationContext[] = [];
let pulsar: PulsarStandalone;
let topics = 0;

interface App {
  readonly app: INestApplicationContext;
  readonly consumers: PulsarConsumers;
  readonly publisher: PulsarPublisher;
  readonly registry: PulsarRegistry;
}

async function start(url: string, options: Partial<PulsarModuleOptions> = {}): Promise<App> {
  @Module({
    imports: [
      ResilienceModule.forRoot(),
      PulsarModule.forRoot({ url, namespace: NAMESPACE, producer: { batching: false }, ...options }),
    ],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  opened.push(app);
  return {
    app,
    consumers: app.get(PulsarConsumers),
    publisher: app.get(PulsarPublisher),
    registry: app.get(PulsarRegistry),
  };
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((app) => app.close()));
}

async function publish({ publisher }: App, topic: string, count = MESSAGES): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => publisher.publish(topic, n, { key: `k${n % 7}` })));
}

async function subscriptionsOf(topic: string): Promise<readonly string[]> {
  const { text } = await pulsar.admin.request('GET', `/admin/v2/persistent/${NAMESPACE}/${topic}/subscriptions`);
  return JSON.parse(text) as string[];
}

const numbered = (count = MESSAGES): number[] => Array.from({ length: count }, (_, n) => n);
const sorted = (numbers: Iterable<number>): number[] => [...numbers].toSorted((one, other) => one - other);

describe.runIf(runtime !== undefined)('how handlers start and share on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterEach(closeAll);
  afterAll(async () => {
    await pulsar?.stop();
  });

  describe.each([
    ['wire', (): string => pulsar.serviceUrl],
    ['websocket', (): string => pulsar.webSocketUrl],
  ])('by %s', (transport, url) => {
    const newTopic = (): string => `modes-${transport}-${topics++}`;

    it.each(['work-sharing', 'every-replica'] as const)(
      'three instances with delivery %s see what they are to see, and leave the subscriptions that outlive them',
      async (delivery) => {
        const topic = newTopic();
        const seen: number[][] = [];
        const apps: App[] = [];
        for (const instanceId of ['one', 'two', 'three']) {
          const app = await start(url(), { instanceId });
          const mine: number[] = [];
          seen.push(mine);
          apps.push(app);
          const handle = await app.consumers.register(
            { topic, subscription: 's', delivery, concurrency: 2, prefetch: 2 },
            (n: number) => void mine.push(n),
          );
          await handle.whenSubscribed();
        }
        await publish(apps[0] ?? expect.unreachable(), topic);

        if (delivery === 'work-sharing') {
          await expect.poll(() => sorted(seen.flat()), POLL).toEqual(numbered());
          expect(seen.every((mine) => mine.length > 0)).toBe(true);
          expect(await subscriptionsOf(topic)).toEqual(['s']);
        } else {
          await expect.poll(() => seen.map(sorted), POLL).toEqual([numbered(), numbered(), numbered()]);
          expect((await subscriptionsOf(topic)).toSorted()).toEqual(['s-one', 's-three', 's-two']);
        }
        await closeAll();
        await expect.poll(() => subscriptionsOf(topic), POLL).toEqual(delivery === 'work-sharing' ? ['s'] : []);
      },
    );

    it('a handler with autoStart off has no subscription before it is started, and handles from then on', async () => {
      const topic = newTopic();
      const app = await start(url());
      const seen = new Set<number>();
      const handle = await app.consumers.register(
        { topic, subscription: 's', autoStart: false, initialPosition: 'earliest' },
        (n: number) => void seen.add(n),
      );
      await publish(app, topic, 5);
      expect(await subscriptionsOf(topic)).toEqual([]);
      expect(handle.state).toEqual({ status: 'waiting' });
      await handle.start();
      expect(await subscriptionsOf(topic)).toEqual(['s']);
      await expect.poll(() => sorted(seen), POLL).toEqual(numbered(5));
    });

    it('pauses when most runs fail, tries again after the cool-down, and handles all that waited', async () => {
      const topic = newTopic();
      const app = await start(url());
      let broken = true;
      const seen = new Set<number>();
      const handle = await app.consumers.register(
        {
          topic,
          subscription: 's',
          initialPosition: 'earliest',
          maxAttempts: 1_000,
          backoff: { initialMs: 20, maxMs: 50 },
          pauseOn: { failureRate: 0.5, window: 10, cooldownMs: 500 },
        },
        (n: number) => {
          if (broken) {
            throw new Error('It is down.');
          }
          seen.add(n);
        },
      );
      await publish(app, topic, 20);
      await expect.poll(() => handle.state.status, POLL).toBe('tripped');
      broken = false;
      await expect.poll(() => sorted(seen), POLL).toEqual(numbered(20));
      expect(handle.stats().trips).toBeGreaterThanOrEqual(1);
      await expect.poll(() => handle.state.status, POLL).toBe('consuming');
    });

    it('an app that is to continue starts without its broker, and works as soon as that is there; others say why they do not', async () => {
      const topic = newTopic();
      const before = await start(url());
      const warm = await before.consumers.register(
        { topic, subscription: 's', initialPosition: 'earliest' },
        () => undefined,
      );
      await warm.whenSubscribed();
      await closeAll();
      await pulsar.kill();
      try {
        await expect(start(url(), { connectTimeoutMs: 2_000, operationTimeoutMs: 2_000 })).rejects.toMatchObject({
          code: 'SMARTPULSE_PULSAR_CONNECTION',
        });
        const app = await start(url(), {
          connectTimeoutMs: 2_000,
          operationTimeoutMs: 5_000,
          startup: { policy: 'continue' },
        });
        const seen = new Set<number>();
        const handle = await app.consumers.register(
          { topic, subscription: 's', initialPosition: 'earliest' },
          (n: number) => void seen.add(n),
        );
        expect(handle.state.status).not.toBe('consuming');
        await pulsar.restart();
        await handle.whenSubscribed();
        await publish(app, topic, 5);
        await expect.poll(() => sorted(seen), POLL).toEqual(numbered(5));
      } finally {
        await closeAll();
      }
    });
  });
});
