import { Logger, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, Payload, type PulsarContext, PulsarModule, PulsarPublisher, PulsarSubscribe } from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
const WAIT = { timeout: 20_000, interval: 20 };
let pulsar: PulsarStandalone;

describe.runIf(runtime !== undefined)('a handler of the topics that a pattern matches, on a real broker', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  it.each(['wire', 'websocket'] as const)(
    'handles what lies in them and in a partitioned one, all of what comes in one that is made later, and nothing else: by %s',
    async (name) => {
      const seen: string[] = [];
      class Regions {
        @PulsarSubscribe({
          topicsPattern: new RegExp(`${name}-orders-.+`),
          subscription: 'billing',
          initialPosition: 'earliest',
          maxAttempts: 1,
          discoveryIntervalMs: 200,
        })
        bill(@Payload() order: string, @Ctx() { topic }: PulsarContext): void {
          seen.push(`${topic.replace(/^.*-orders-|-partition-\d+$/g, '')} ${order}`);
          if (order === 'bad') {
            throw new Error('No such order.');
          }
        }
      }
      const AppModule: Type = class {};
      const url = name === 'wire' ? pulsar.serviceUrl : pulsar.webSocketUrl;
      Module({
        imports: [
          ResilienceModule.forRoot(),
          PulsarModule.forRoot({ url, adminUrl: pulsar.adminUrl, namespace: 'public/default' }),
        ],
        providers: [Regions],
      })(AppModule);
      await pulsar.admin.createTopic(`public/default/${name}-orders-eu`, 3);
      await pulsar.admin.createTopic(`public/default/old-${name}-orders-eu`);
      const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
      try {
        const publisher = app.get(PulsarPublisher);
        await publisher.publish(`${name}-orders-eu`, 'one', { key: 'k' });
        await publisher.publish(`old-${name}-orders-eu`, 'never');
        await expect.poll(() => seen, WAIT).toEqual(['eu one']);

        await publisher.publish(`${name}-orders-us`, 'first');
        await publisher.publish(`${name}-orders-us`, 'bad');
        await publisher.publish(`${name}-orders-us`, 'third');
        await expect.poll(() => seen, WAIT).toEqual(['eu one', 'us first', 'us bad', 'us third']);
        const letters = async (): Promise<number> =>
          pulsar.admin.entries(`public/default/${name}-orders-us-billing-DLQ`);
        await expect.poll(letters, WAIT).toBe(1);
        // Several rounds later the dead letter is still nobody's order.
        await publisher.publish(`${name}-orders-asia`, 'late');
        await expect.poll(() => seen.slice(4), WAIT).toEqual(['asia late']);
      } finally {
        await app.close();
      }
    },
  );
});
