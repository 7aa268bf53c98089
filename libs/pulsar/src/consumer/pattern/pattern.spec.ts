import { Injectable } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Ctx, Payload } from '../../decorators/handler-parameters.js';
import { PulsarSubscribe } from '../../decorators/pulsar-subscribe.decorator.js';
import { defineEvent } from '../../event/define-event.js';
import { InProcessBroker } from '../../in-process/in-process.broker.js';
import { InProcessTransport } from '../../in-process/in-process.transport.js';
import { FaultInjectingTransport, injectedFault } from '../../testing/fault-injecting.transport.js';
import { startApp, type TestApp, type TestAppParts } from '../../testing/test-app.js';
import type { TransportCapabilities } from '../../transport/pulsar.transport.js';
import type { PulsarContext } from '../pulsar-context.js';
import { PulsarRegistry } from '../pulsar.registry.js';
import type { PulsarPatternHandle, TopicsPattern } from './pattern-options.js';

const reading = defineEvent({ name: 'reading', topic: 'readings', schema: z.object({ unit: z.string() }) });
const full = (name: string): string => `persistent://public/default/${name}`;

let opened: TestApp | undefined;
afterEach(async () => {
  await opened?.close();
  expect(opened?.clock.pendingTimers).toBe(0);
  opened = undefined;
});

async function start(parts: TestAppParts = {}): Promise<TestApp> {
  opened = await startApp(parts);
  return opened;
}

/** An app with topics, and a pattern registered by code. */
async function following(
  topics: readonly string[],
  options: Partial<TopicsPattern<string>> = {},
): Promise<{ readonly app: TestApp; readonly seen: string[]; readonly handle: PulsarPatternHandle }> {
  const app = await start();
  for (const topic of topics) {
    await app.publisher.publish(topic, 'before');
  }
  const seen: string[] = [];
  const handle = await app.consumers.registerPattern<string>(
    { topicsPattern: /orders-.+/, subscription: 'billing', ...options },
    (payload: unknown, { topic }: { readonly topic: string }) => void seen.push(`${topic}=${String(payload)}`),
  );
  return { app, seen, handle };
}

describe('a handler of the topics that a pattern matches', () => {
  it('consumes each of them as one that is named, and no others', async () => {
    const { app, seen, handle } = await following([
      'orders-eu',
      'orders-us',
      'old-orders-eu',
      'orders-eu-billing-DLQ',
      'orders-eu-billing-RETRY',
      'other/place/orders-eu',
    ]);
    expect(handle.topics).toEqual([full('orders-eu'), full('orders-us')]);
    expect(
      app.app
        .get(PulsarRegistry)
        .list()
        .map(({ id }) => id),
    ).toEqual(['orders-eu/billing', 'orders-us/billing']);

    await app.publisher.publish('orders-eu', 'a');
    await app.publisher.publish('old-orders-eu', 'b');
    await app.clock.advance(100);
    expect(seen).toEqual([`${full('orders-eu')}=a`]);
  });

  it('loses nothing of a topic that comes later: it is consumed from its beginning', async () => {
    const { app, seen, handle } = await following(['orders-eu'], { discoveryIntervalMs: 5_000 });
    await app.publisher.publish('orders-us', 'first');
    await app.publisher.publish('orders-us', 'second');
    await app.clock.advance(4_999);
    expect([handle.topics.length, seen]).toEqual([1, []]);
    await app.clock.advance(1);
    await app.clock.advance(100);
    expect(seen).toEqual([`${full('orders-us')}=first`, `${full('orders-us')}=second`]);
    await app.publisher.publish('orders-asia', 'third');
    await handle.refresh();
    await app.clock.advance(100);
    expect(seen.at(-1)).toBe(`${full('orders-asia')}=third`);
  });

  it('leaves a topic that is gone, and takes one of its name again', async () => {
    const { app, handle, seen } = await following(['orders-eu', 'orders-us']);
    app.broker.deleteTopic(full('orders-us'));
    await handle.refresh();
    expect(handle.topics).toEqual([full('orders-eu')]);
    expect(app.app.get(PulsarRegistry).list()).toHaveLength(1);

    await app.publisher.publish('orders-us', 'again');
    await handle.refresh();
    await app.clock.advance(100);
    expect(seen).toEqual([`${full('orders-us')}=again`]);
  });

  it('begins where it is told with topics that were there before it could look, and closes what a failed start has made', async () => {
    const app = await start();
    for (const topic of ['orders-eu', 'orders-us']) {
      await app.publisher.publish(topic, 'old');
    }
    const listing = app.transport.listTopics.bind(app.transport);
    let isDown = true;
    app.transport.listTopics = (namespace) =>
      isDown ? Promise.reject(injectedFault('orders-eu')) : listing(namespace);
    const seen: unknown[] = [];
    const options = { topicsPattern: /orders-.+/, subscription: 's', initialPosition: 'latest' } as const;
    const handle = await app.consumers.registerPattern<unknown>(
      { ...options, startup: { policy: 'continue' }, discoveryIntervalMs: 1_000 },
      (payload: unknown) => void seen.push(payload),
    );
    expect(handle.topics).toEqual([]);
    isDown = false;
    await app.clock.advance(1_000);
    await app.publisher.publish('orders-us', 'new');
    await app.clock.advance(100);
    expect([handle.topics.length, seen]).toEqual([2, ['new']]);
    await Promise.all([handle.close(), handle.close()]);
    expect(app.app.get(PulsarRegistry).list()).toEqual([]);

    app.transport.plan = ({ point, topic }) =>
      point === 'subscribe' && topic === full('orders-us') ? injectedFault(topic) : undefined;
    await expect(app.consumers.registerPattern(options, () => undefined)).rejects.toThrow('injected');
    expect([app.app.get(PulsarRegistry).list(), app.consumers.subscribed]).toEqual([[], true]);
  });

  it('never consumes what handlers have given up or will repeat, whatever that topic is called', async () => {
    const app = await start();
    for (const topic of ['orders-eu', 'orders-letters', 'orders-later', 'orders-others']) {
      await app.publisher.publish(topic, 'before');
    }
    await app.consumers.register(
      { topic: 'bills', subscription: 's', deadLetter: { topic: 'orders-others' } },
      () => undefined,
    );
    const handle = await app.consumers.registerPattern(
      {
        topicsPattern: /orders-.+/,
        subscription: 'billing',
        deadLetter: { topic: 'orders-letters' },
        retry: { mode: 'retry-topic', keyOrder: 'given-up', topic: 'orders-later' },
      },
      () => undefined,
    );
    expect(handle.topics).toEqual([full('orders-eu')]);
    await handle.refresh();
    expect(handle.topics).toEqual([full('orders-eu')]);
  });

  it('goes on after a round that failed, and closes all its consumers with it', async () => {
    const { app, handle } = await following(['orders-eu'], { discoveryIntervalMs: 1_000 });
    await app.publisher.publish('orders-us', 'x');
    app.transport.plan = ({ point }) => (point === 'subscribe' ? injectedFault('orders-us') : undefined);
    await app.clock.advance(1_000);
    expect(handle.topics).toEqual([full('orders-eu')]);
    app.transport.plan = () => undefined;
    await app.clock.advance(1_000);
    expect(handle.topics).toEqual([full('orders-eu'), full('orders-us')]);

    await handle.close();
    expect([handle.topics, app.app.get(PulsarRegistry).list()]).toEqual([[], []]);
    await expect(handle.refresh()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
  });

  it('may be decorated, with a contract, an id and another namespace', async () => {
    @Injectable()
    class Ledger {
      readonly seen: string[] = [];

      @PulsarSubscribe({
        topicsPattern: /readings-\d+/,
        namespace: 'wind/north',
        event: reading,
        subscription: 'ledger',
        id: 'book',
        initialPosition: 'earliest',
        discoveryIntervalMs: 1_000,
      })
      book(@Payload() { unit }: { unit: string }, @Ctx() { topic }: PulsarContext): void {
        this.seen.push(`${topic.slice(topic.lastIndexOf('/') + 1)} ${unit}`);
      }
    }
    const app = await start({ providers: [Ledger] });
    await app.publisher.publish('wind/north/readings-7', { unit: 'U-17' });
    await app.publisher.publish('wind/north/readings-7', { unit: 4 });
    await app.clock.advance(2_000);

    expect(app.app.get(Ledger).seen).toEqual(['readings-7 U-17']);
    expect(app.app.get(PulsarRegistry).get('book:readings-7')?.stats()).toMatchObject({ acked: 2, deadLettered: 1 });
    await app.clock.advance(2_000);
    expect(app.app.get(PulsarRegistry).list()).toHaveLength(1);
  });

  it.each([
    ['topicsPattern', { topicsPattern: /orders/g }],
    ['topicsPattern', { topic: 'orders' }],
    ['namespace', { namespace: 'public' }],
    ['discoveryIntervalMs', { discoveryIntervalMs: 10 }],
    ['maxAttempts', { maxAttempts: 0 }],
  ])('is refused when %s is wrong, also where no topic matches', async (option, wrong) => {
    const app = await start();
    const refused = app.consumers.registerPattern(
      { topicsPattern: /orders-.+/, subscription: 'billing', ...wrong },
      () => undefined,
    );
    await expect(refused).rejects.toSatisfy(
      (error) => error instanceof ConfigurationError && error.issues.some((issue) => issue.option === option),
    );
  });

  it('is refused where topics cannot be listed, naming both', async () => {
    class Blind extends FaultInjectingTransport {
      override get admin(): undefined {
        return undefined;
      }

      override get capabilities(): TransportCapabilities {
        return { ...super.capabilities, topicLists: false };
      }
    }
    const broker = new InProcessBroker({ clock: new VirtualClock(), random: new SeededRandom() });
    const app = await start({ broker, options: { transport: new Blind(new InProcessTransport(broker)) } });
    const refused = app.consumers.registerPattern({ topicsPattern: /o/, subscription: 's' }, () => undefined);
    await expect(refused).rejects.toThrow(/topicsPattern.*in-process transport cannot list topics/s);
  });
});
