import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload, PulsarModule, PulsarPublisher, PulsarSubscribe } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule } from '@smartpulse/resilience';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../support/fault-proxy/fault-proxy.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { type TransportName, transportTo } from '../../../support/pulsar/transports.js';
import { missingAddon, WITHOUT_ADDON } from '../../../support/pulsar/native-addon.js';
import { Traffic } from './traffic.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

interface TransportUnderTest {
  readonly name: TransportName;
  /** Sends that were on the way when the connection broke are sent again by the transport itself. */
  readonly resends: boolean;
  readonly url: () => string;
}

const everyTransport: readonly TransportUnderTest[] = [
  { name: 'wire', resends: true, url: () => pulsar.serviceUrl },
  { name: 'websocket', resends: false, url: () => pulsar.webSocketUrl },
  { name: 'native', resends: true, url: () => pulsar.serviceUrl },
];
const transports = everyTransport.filter(({ name }) => name !== 'native' || missingAddon === undefined);

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

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
    async ({ name, url, resends }) => {
      const traffic = await Traffic.between(
        transportTo(name, url()),
        transportTo(name, url()),
        `persistent://public/default/outage-${name}`,
      );
      await Promise.all(traffic.send(1_000));

      const inFlight: Promise<void>[] = [];
      // Until some are on their way to the broker, or stored and not answered, when it dies.
      do {
        inFlight.push(...traffic.send(1_000));
        await turn();
      } while (traffic.unsettled === 0);
      await pulsar.kill();
      const later = traffic.send(1_000);
      await pulsar.restart();
      await Promise.all([...inFlight, ...later]);
      await Promise.all(traffic.send(1_000));

      await traffic.check(resends);
    },
  );

  it.each(transports)(
    'does so also when the connection is cut again and again while messages pass, by $name',
    async ({ name, url, resends }) => {
      await using proxy = await FaultProxy.before(url());
      // What a lookup answers leads around the proxy, except on a standalone, which says that it is one itself.
      const traffic = await Traffic.between(
        transportTo(name, proxy.url),
        transportTo(name, proxy.url),
        `persistent://public/default/cut-${name}`,
      );
      const sent: Promise<void>[] = [];
      for (let round = 0; round < 10; round++) {
        const before = traffic.received;
        sent.push(...traffic.send(500));
        // A transport that does not send again by itself may have had all of them refused by the cut before: nothing more comes then.
        await expect.poll(() => traffic.received > before || traffic.settled, { timeout: 20_000 }).toBe(true);
        proxy.cut();
      }
      await Promise.all([...sent, ...traffic.send(500)]);

      expect(proxy.accepted).toBeGreaterThanOrEqual(10);
      await traffic.check(resends);
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
