import { NestFactory } from '@nestjs/core';
import { Module } from '@nestjs/common';
import { PulsarAdmin, PulsarModule, type ProvisionOptions, PulsarPublisher } from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;
const closers: (() => Promise<void>)[] = [];

async function start(provision: ProvisionOptions): Promise<{ admin: PulsarAdmin; publisher: PulsarPublisher }> {
  @Module({
    imports: [
      ResilienceModule.forRoot(),
      PulsarModule.forRoot({
        url: pulsar.serviceUrl,
        adminUrl: pulsar.adminUrl,
        namespace: 'wind/north',
        provision,
      }),
    ],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  closers.push(() => app.close());
  return { admin: app.get(PulsarAdmin), publisher: app.get(PulsarPublisher) };
}

const wanted: ProvisionOptions = {
  tenants: ['wind'],
  namespaces: [{ name: 'wind/north', retention: { minutes: 60, megabytes: 100 }, deduplication: true }],
  topics: [{ topic: 'orders' }, { topic: 'readings', partitions: 2 }],
};

describe.runIf(runtime !== undefined)('what an app provisions on a real broker', () => {
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

  it('is there when it starts, by three replicas at once and once more, grows, and never shrinks', async () => {
    const [{ admin, publisher }] = await Promise.all([start(wanted), start(wanted), start(wanted)]);
    expect(await admin.tenants()).toContain('wind');
    expect(await admin.policies('wind/north')).toMatchObject({
      retention: { minutes: 60, megabytes: 100 },
      deduplication: true,
    });
    expect([...(await admin.topics())].sort()).toEqual([
      'persistent://wind/north/orders',
      'persistent://wind/north/readings',
    ]);
    expect(await admin.partitions('readings')).toBe(2);
    await publisher.publish('readings', { megawatt: 1 }, { key: 'U-1' });

    await start(wanted);
    await start({ topics: [{ topic: 'readings', partitions: 5 }] });
    expect(await admin.partitions('readings')).toBe(5);
    await expect(start(wanted)).rejects.toThrow(/readings has 5 partitions, which cannot become 2/);
    await expect(start({ topics: [{ topic: 'orders', partitions: 3 }] })).rejects.toThrow(/orders has 0 partitions/);
    await publisher.publish('orders', { id: 1 });
  });
});
