import { Injectable } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { PulsarRegistry, PulsarSubscribe, type TransportCapabilities } from '../index.js';
import { FaultInjectingTransport } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import type { DeliveryMode } from './delivery.js';

const TOPIC = 'persistent://public/default/t';
const opened: TestApp[] = [];

afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.close();
  }
});

/** The in-process broker as one whose subscriptions never end by themselves. */
class DurableOnly extends FaultInjectingTransport {
  override get capabilities(): TransportCapabilities {
    return { ...super.capabilities, nonDurable: false };
  }
}

async function replicas(delivery: DeliveryMode, durableOnly = false): Promise<{ apps: TestApp[]; seen: number[][] }> {
  const clock = new VirtualClock();
  const broker = new InProcessBroker({ clock, random: new SeededRandom() });
  const seen: number[][] = [];
  for (const instanceId of ['one', 'two', 'three']) {
    const transport = durableOnly ? new DurableOnly(new InProcessTransport(broker)) : undefined;
    const app = await startApp({ broker, options: { instanceId, ...(transport === undefined ? {} : { transport }) } });
    opened.push(app);
    const mine: number[] = [];
    seen.push(mine);
    await app.consumers.register({ topic: 't', subscription: 's', delivery }, (n: number) => void mine.push(n));
  }
  return { apps: opened.slice(), seen };
}

describe('three instances of an app', () => {
  it('share the messages of a work-sharing handler, each once', async () => {
    const { apps, seen } = await replicas('work-sharing');
    const [{ publisher, clock, broker }] = apps as [TestApp];
    for (let n = 0; n < 30; n++) {
      await publisher.publish('t', n);
    }
    await clock.advance(1_000);
    expect(seen.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
    expect(seen.every((mine) => mine.length > 0)).toBe(true);
    expect(Object.keys(broker.stats(TOPIC).subscriptions)).toEqual(['s']);
  });

  it.each([
    ['that end by themselves', false],
    ['that are deleted, where the transport has no other', true],
  ])('each see every message of an every-replica handler, by subscriptions %s', async (_, durableOnly) => {
    const { apps, seen } = await replicas('every-replica', durableOnly);
    const [{ publisher, clock, broker }, second, third] = apps as [TestApp, TestApp, TestApp];
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    for (const n of numbers) {
      await publisher.publish('t', n);
    }
    await clock.advance(1_000);
    expect(seen).toEqual([numbers, numbers, numbers]);
    expect(Object.keys(broker.stats(TOPIC).subscriptions).sort()).toEqual(['s-one', 's-three', 's-two']);
    await second.close();
    await third.close();
    expect(Object.keys(broker.stats(TOPIC).subscriptions)).toEqual(['s-one']);
  });

  it('have one dead letter topic, whichever of them an every-replica handler failed in', async () => {
    const { apps } = await replicas('work-sharing');
    const [first] = apps as [TestApp];
    for (const { consumers } of apps) {
      await consumers.register({ topic: 'u', subscription: 's', delivery: 'every-replica', maxAttempts: 1 }, () => {
        throw new Error('never');
      });
    }
    await first.publisher.publish('u', 1);
    await first.clock.advance(1_000);
    expect(first.broker.stats('persistent://public/default/u-s-DLQ').messages).toBe(3);
  });

  it('are refused a durable subscription each', async () => {
    const app = await startApp();
    opened.push(app);
    await expect(
      app.consumers.register(
        { topic: 't', subscription: 's', delivery: 'every-replica', durable: true },
        () => undefined,
      ),
    ).rejects.toThrow(/"durable": true is not possible with delivery every-replica/);
  });

  it('name themselves by chance when nobody names them', async () => {
    const app = await startApp();
    opened.push(app);
    const handle = await app.consumers.register({ topic: 't', subscription: 's', delivery: 'every-replica' }, () => {});
    expect(handle.subscription).toMatch(/^s-[0-9a-f]{12}$/);
    expect(handle.id).toBe('t/s');
  });
});

describe('a handler of several topics', () => {
  it('has a consumer for each, with an entry of its own', async () => {
    @Injectable()
    class Handler {
      readonly seen: unknown[] = [];
      @PulsarSubscribe({ topic: ['a', 'b', 'c'], subscription: 's', id: 'all' })
      handle(payload: unknown): void {
        this.seen.push(payload);
      }
    }
    const app = await startApp({ providers: [Handler] });
    opened.push(app);
    for (const topic of ['a', 'b', 'c', 'd']) {
      await app.publisher.publish(topic, topic);
    }
    await app.clock.advance(1_000);
    expect(app.app.get(Handler).seen).toEqual(['a', 'b', 'c']);
    const ids = app.app.get(PulsarRegistry).list();
    expect(ids.map(({ id }) => id)).toEqual(['all:a', 'all:b', 'all:c']);
  });

  it.each([
    [[], /"topic": is an empty list/],
    [['a', 'a'], /"topic": names a topic twice/],
  ])('is refused at start with %j', async (topic, problem) => {
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic, subscription: 's' })
      handle(): void {
        // Never subscribed.
      }
    }
    await expect(startApp({ providers: [Handler] })).rejects.toThrow(problem);
  });
});
