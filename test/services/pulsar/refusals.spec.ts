import { Logger, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { PulsarClient } from '@smartpulse/pulsar-wire';
import { ResilienceModule, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;
let namespace = '';
let namespaces = 0;
let publisher: PulsarPublisher;
const open: { close(): Promise<void> }[] = [];

function clientOf(subject: string): PulsarClient {
  const client = new PulsarClient({ serviceUrl: pulsar.serviceUrl, token: pulsar.token({ subject }), clock, random });
  open.push(client);
  return client;
}

/** Publishes until the answer is as wanted, for 20 seconds at most: a broker takes its time to notice. */
async function until(topic: string, code: string): Promise<void> {
  await expect
    .poll(
      () =>
        publisher.publish(topic, 'x').then(
          () => 'stored',
          (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
        ),
      { timeout: 20_000, interval: 50 },
    )
    .toBe(code);
}

describe.runIf(runtime !== undefined)('producers and messages that a real broker refuses', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { authentication: true });
      await pulsar.admin.createTenant('wind');
    }
  });
  beforeEach(async () => {
    namespace = `wind/lost-${namespaces++}`;
    await pulsar.admin.createNamespace(namespace);
    await pulsar.admin.grant(namespace, 'writer', ['produce']);
    const AppModule: Type = class {};
    Module({
      imports: [
        ResilienceModule.forRoot(),
        PulsarModule.forRoot({
          url: pulsar.serviceUrl,
          namespace,
          token: () => pulsar.token({ subject: 'writer' }),
          producer: { batching: false, sendTimeoutMs: 5_000 },
        }),
      ],
    })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    open.push(app);
    publisher = app.get(PulsarPublisher);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  it('publishes again when the right that was taken away is given back', async () => {
    await until('orders', 'stored');
    await pulsar.admin.revoke(namespace, 'writer');
    await until('orders', 'SMARTPULSE_PULSAR_AUTHORIZATION');

    await pulsar.admin.grant(namespace, 'writer', ['produce']);
    await until('orders', 'stored');
  });

  it('publishes again when the topic that was deleted is made anew, where topics are not made by themselves', async () => {
    await pulsar.admin.createTopic(`${namespace}/orders`);
    await pulsar.admin.forbidTopicCreation(namespace);
    await until('orders', 'stored');
    await pulsar.admin.deleteTopic(`${namespace}/orders`);
    await until('orders', 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND');

    await pulsar.admin.createTopic(`${namespace}/orders`);
    await until('orders', 'stored');
  });

  it('refuses the message that may not wait so long, and stores those around it that are on their way with it', async () => {
    const policy = { active: true, tickTime: 1_000, maxDeliveryDelayInMillis: 60_000 };
    await pulsar.admin.createTopic(`${namespace}/orders`);
    const set = await pulsar.admin.request('POST', `/admin/v2/namespaces/${namespace}/delayedDelivery`, policy);
    expect(set.status).toBe(204);
    const client = clientOf('writer');
    const producer = await client.createProducer({ topic: `${namespace}/orders`, batching: { maxMessages: 10 } });

    const payloads = Array.from({ length: 40 }, (_, index) => Buffer.from(String(index)));
    const sent = payloads.map((payload, index) =>
      producer.send({ payload, ...(index === 20 ? { deliverAtMs: clock.now() + 3_600_000 } : {}) }),
    );
    const outcomes = await Promise.allSettled(sent);

    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([20]);
    expect(outcomes[20]).toMatchObject({ reason: { code: 'SMARTPULSE_WIRE_BROKER_NOT_ALLOWED_ERROR' } });
  });

  it('tells later sends of a fenced producer that they were not sent', async () => {
    const client = clientOf('writer');
    const topic = `${namespace}/orders`;
    const first = await client.createProducer({ topic, accessMode: 'exclusive', batching: { enabled: false } });
    await first.send({ payload: Buffer.from('first') });
    const second = await client.createProducer({ topic, accessMode: 'exclusiveWithFencing' });
    await expect(first.send({ payload: Buffer.from('lost') })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_PRODUCER_FENCED',
      ambiguous: true,
    });

    await expect(first.send({ payload: Buffer.from('late') })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_CLOSED',
      kind: 'recreate',
      ambiguous: false,
    });
    await second.send({ payload: Buffer.from('second') });
  });
});
