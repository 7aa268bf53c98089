import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload, PulsarModule, PulsarPublisher, PulsarSubscribe } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { transportsOn } from '../../support/pulsar/transports.js';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const transports = transportsOn(() => pulsar);

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

describe.runIf(runtime !== undefined)('on a real broker', () => {
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
        PulsarModule.forRoot({
          url: url(),
          ...(name === 'native' ? { transport: name } : {}),
          namespace: 'public/default',
          producer: { batchMaxDelayMs: 1 },
        }),
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
