import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type BrokerAdmin, PulsarAdmin, PulsarModule, restAdmin } from '@smartpulse/pulsar';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { brokerAdminContract, brokerFixture } from '@smartpulse/pulsar/testing';
import { ResilienceModule, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { brokerControl } from '../pulsar-transports/broker-control.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;
let guarded: PulsarStandalone;
const closers: (() => Promise<void>)[] = [];

const rest = (url: string, token?: string): BrokerAdmin =>
  restAdmin(url, { token, tls: undefined, timeoutMs: 20_000, clock });

describe.runIf(runtime !== undefined)('the administration of a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
      guarded = await PulsarStandalone.start(runtime, { authentication: true, tls: true });
    }
  });
  afterEach(async () => {
    await Promise.all(closers.splice(0).map((close) => close()));
  });
  afterAll(async () => {
    await Promise.all([pulsar?.stop(), guarded?.stop()]);
  });

  runContract(
    { describe, it },
    'BrokerAdmin: rest',
    brokerAdminContract(
      () => ({
        admin: rest(pulsar.adminUrl),
        fixture: brokerFixture({
          clock,
          random,
          create: () =>
            new WireTransport(
              {
                url: pulsar.serviceUrl,
                token: undefined,
                tls: undefined,
                connectTimeoutMs: 10_000,
                operationTimeoutMs: 10_000,
              },
              { clock, random },
            ),
          broker: brokerControl(pulsar.admin),
        }),
        namespace: 'public/default',
        fresh: () => `t-${random.id()}`,
      }),
      rest('http://127.0.0.1:1').capabilities,
    ),
  );

  it('is asked by https, with an authority of one’s own and a token', async () => {
    const { adminUrl, authority, serviceUrl } = guarded.tls;
    @Module({
      imports: [
        ResilienceModule.forRoot(),
        PulsarModule.forRoot({
          url: serviceUrl,
          namespace: 'public/default',
          adminUrl,
          token: guarded.token({ subject: 'admin' }),
          tls: { ca: authority },
        }),
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
    closers.push(() => app.close());
    const admin = app.get(PulsarAdmin);
    await expect(admin.tenants()).resolves.toContain('public');
    await admin.createTopic('by-https', 3);
    await expect(admin.partitions('by-https')).resolves.toBe(3);
  });

  it('tells a token that is wrong, one that may not and an authority that is not trusted', async () => {
    const ask = (url: string, token: string | undefined): Promise<unknown> =>
      rest(url, token).createTenant('never', {});
    await expect(ask(guarded.adminUrl, 'no.token.atall')).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_AUTHENTICATION',
    });
    await expect(ask(guarded.adminUrl, guarded.token({ subject: 'stranger' }))).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_AUTHORIZATION',
    });
    await expect(ask(guarded.tls.adminUrl, undefined)).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_CONNECTION',
    });
  });
});
