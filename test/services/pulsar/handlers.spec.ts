import { type INestApplicationContext, Inject, Injectable, Module, type Provider, Scope } from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  BatchItemsFailed,
  Ctx,
  type DedupeStore,
  MemoryDedupeStore,
  Payload,
  PulsarConsumers,
  type PulsarConsumerHandle,
  type PulsarContext,
  PulsarDeadLetters,
  PulsarModule,
  type PulsarModuleOptions,
  PulsarPublisher,
  PulsarSubscribe,
} from '@smartpulse/pulsar';
import { dedupeEntity, SqlDedupeStore } from '@smartpulse/pulsar/typeorm';
import { ResilienceModule, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
const NAMESPACE = 'public/default';
/** Its topics hold no more than this, and hold producers beyond. */
const FULL_NAMESPACE = 'public/full';
const FULL_BYTES = 10_000;
const POLL = { timeout: 30_000, interval: 25 };
const opened: INestApplicationContext[] = [];
let pulsar: PulsarStandalone;
let topics = 0;

interface App {
  readonly app: INestApplicationContext;
  readonly consumers: PulsarConsumers;
  readonly publisher: PulsarPublisher;
}

async function start(
  url: string,
  { providers = [], ...options }: Partial<PulsarModuleOptions> & { readonly providers?: Provider[] } = {},
): Promise<App> {
  @Module({
    imports: [
      ResilienceModule.forRoot(),
      PulsarModule.forRoot({
        url,
        adminUrl: pulsar.adminUrl,
        namespace: NAMESPACE,
        // What a handler has not settled counts as running.
        consumer: { initialPosition: 'earliest', backoff: { initialMs: 20, maxMs: 50 }, drainTimeoutMs: 200 },
        producer: { batchMaxDelayMs: 5 },
        ...options,
      }),
    ],
    providers,
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  opened.push(app);
  return { app, consumers: app.get(PulsarConsumers), publisher: app.get(PulsarPublisher) };
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((app) => app.close()));
}

/** What the broker has yet to see acknowledged; a batch that is not wholly acknowledged counts. */
async function backlogOf(topic: string, subscription = 's'): Promise<number | undefined> {
  const stats = await pulsar.admin.topicStats(`${NAMESPACE}/${topic}`);
  return stats.subscriptions[subscription]?.msgBacklog;
}

const numbered = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const sorted = (numbers: Iterable<number>): number[] => [...numbers].toSorted((one, other) => one - other);

/** One database of this process: what several apps remember in common. */
async function sqlStore(): Promise<{ readonly store: DedupeStore; close(): Promise<void> }> {
  const clock = new SystemClock();
  const entity = dedupeEntity();
  const database = EmbeddedDatabase.open({ name: 'handlers', clock });
  const dataSource = await new DataSource(
    database.typeOrmOptions({ name: 'handlers', entities: [entity], synchronize: true }),
  ).initialize();
  return {
    store: new SqlDedupeStore({ dataSource, entity, clock, random: new SystemRandom() }),
    close: async () => {
      await dataSource.destroy();
      await database.close();
    },
  };
}

async function memoryStore(): Promise<{ readonly store: DedupeStore; close(): Promise<void> }> {
  return {
    store: new MemoryDedupeStore({ clock: new SystemClock(), random: new SystemRandom() }),
    close: async () => {},
  };
}

describe.runIf(runtime !== undefined)('what handlers say of their messages, on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { properties: { backlogQuotaCheckIntervalInSeconds: '1' } });
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
    const newTopic = (): string => `handlers-${transport}-${topics++}`;

    it('of a batch that fails in part only the failed ones come again, and the one that always fails becomes a dead letter', async () => {
      const topic = newTopic();
      const app = await start(url());
      const done: number[] = [];
      const tried = new Map<number, number>();
      await app.consumers.register(
        { topic, subscription: 's', type: 'Key_Shared', batch: { maxMessages: 10, maxWaitMs: 20 }, maxAttempts: 3 },
        async (numbers: number[]) => {
          const failures = numbers.flatMap((n, index) => {
            const runs = (tried.get(n) ?? 0) + 1;
            tried.set(n, runs);
            if (n === 13 || (n % 5 === 0 && runs === 1)) {
              return [{ index, error: new RangeError(`No ${n}`) }];
            }
            done.push(n);
            return [];
          });
          throw new BatchItemsFailed(failures);
        },
      );
      await app.publisher.publishMany(
        topic,
        numbered(40).map((n) => ({ data: n, options: { key: `k${n % 4}` } })),
      );

      await expect.poll(() => sorted(done), POLL).toEqual(numbered(40).filter((n) => n !== 13));
      const letters = app.app.get(PulsarDeadLetters);
      await expect.poll(() => letters.count(`${topic}/s`), POLL).toBe(1);
      const [letter] = await letters.peek(`${topic}/s`, { limit: 1 });
      expect(letter).toMatchObject({ reason: 'failed', exceptionType: 'RangeError', attempts: 3 });
      expect(letter?.decode()).toBe(13);
      expect(numbered(40).map((n) => tried.get(n))).toEqual(
        numbered(40).map((n) => (n === 13 ? 3 : n % 5 === 0 ? 2 : 1)),
      );
      // What was done is acknowledged one by one, also out of the middle of the broker's own batches.
      await expect.poll(() => backlogOf(topic), POLL).toBe(0);
    });

    it('a handler that settles by itself does so after it returned, in any order; what it left is the next one’s', async () => {
      const topic = newTopic();
      const app = await start(url());
      const contexts = new Map<number, PulsarContext>();
      const register = (consumers: PulsarConsumers) =>
        consumers.register(
          { topic, subscription: 's', ack: 'manual', concurrency: 6, maxAttempts: 5 },
          (n: number, context) => void contexts.set(n, context),
        );
      const first = await register(app.consumers);
      for (const n of numbered(6)) {
        await app.publisher.publish(topic, n);
      }
      await expect.poll(() => contexts.size, POLL).toBe(6);
      expect(first.stats()).toMatchObject({ acked: 0, inFlight: 6 });

      const refused = contexts.get(2);
      contexts.get(4)?.ack();
      contexts.get(0)?.ack();
      contexts.get(3)?.deadLetter('not for us');
      refused?.nack(50);
      // It comes again, by itself.
      await expect.poll(() => contexts.get(2) !== refused, POLL).toBe(true);
      contexts.get(2)?.ack();
      await expect.poll(() => first.stats().acked, POLL).toBe(4);
      const letters = app.app.get(PulsarDeadLetters);
      expect((await letters.peek(`${topic}/s`)).map((letter) => [letter.reason, letter.decode()])).toEqual([
        ['requested', 3],
      ]);

      await first.close();
      contexts.clear();
      const other = await start(url());
      const second = await register(other.consumers);
      await expect.poll(() => sorted(contexts.keys()), POLL).toEqual([1, 5]);
      contexts.forEach((context) => context.ack());
      await expect.poll(() => second.stats().acked, POLL).toBe(2);
      await expect.poll(() => backlogOf(topic), POLL).toBe(0);
    });

    it.each([
      ['in memory', memoryStore],
      ['in SQL', sqlStore],
    ])(
      'what is remembered %s is handled once, however often it is published, and what failed is handled again',
      async (_, open) => {
        const topic = newTopic();
        const remembering = await open();
        const handled: number[] = [];
        const failed = new Set<number>();
        const handles: PulsarConsumerHandle[] = [];
        for (const instanceId of ['one', 'two']) {
          const { consumers } = await start(url(), { instanceId });
          handles.push(
            await consumers.register(
              { topic, subscription: 's', concurrency: 4, prefetch: 4, dedupe: { store: remembering.store } },
              async (n: number) => {
                if (n % 6 === 0 && !failed.has(n)) {
                  failed.add(n);
                  throw new Error('The first run fails.');
                }
                handled.push(n);
              },
            ),
          );
        }
        const { publisher } = await start(url());
        // Thrice, by producers that know nothing of one another's sends.
        await Promise.all(
          [0, 1, 2].flatMap(() =>
            numbered(30).map((n) => publisher.publish(topic, n, { idempotencyKey: `reading-${n}` })),
          ),
        );
        const total = (count: 'acked' | 'duplicates'): number =>
          handles.reduce((sum, handle) => sum + handle.stats()[count], 0);
        await expect.poll(() => total('acked'), POLL).toBe(90);
        expect(sorted(handled)).toEqual(numbered(30));
        expect(total('duplicates')).toBe(60);
        expect(failed.size).toBe(5);
        await expect.poll(() => backlogOf(topic), POLL).toBe(0);
        await closeAll();
        await remembering.close();
      },
    );

    it.each(['Shared', 'Key_Shared'] as const)(
      'a key whose handler is slow lets the others pass by, and keeps its own order, on %s',
      async (type) => {
        const topic = newTopic();
        const app = await start(url());
        const hot: number[] = [];
        const latenciesMs: number[] = [];
        const handle = await app.consumers.register(
          { topic, subscription: 's', type, concurrency: 4, prefetch: 4 },
          async ({ n, sentMs }: { readonly n: number; readonly sentMs: number }, { key }) => {
            if (key === 'hot') {
              hot.push(n);
              await new Promise((resolve) => setTimeout(resolve, 200));
            } else {
              latenciesMs.push(performance.now() - sentMs);
            }
          },
        );
        const publish = (keys: readonly string[]) =>
          app.publisher.publishMany(
            topic,
            keys.map((key, n) => ({ data: { n, sentMs: performance.now() }, options: { key } })),
          );
        // Eight seconds of work for one key, five times the places of the consumer.
        await publish(numbered(40).map(() => 'hot'));
        await publish(numbered(30).map((n) => `k${n}`));
        await expect.poll(() => latenciesMs.length, POLL).toBe(30);
        expect(hot.length).toBeLessThan(30);
        expect(hot).toEqual(numbered(hot.length));
        expect(Math.max(...latenciesMs)).toBeLessThan(5_000);
        expect(handle.stats().inFlight).toBeLessThanOrEqual(8 + 64);
      },
    );

    it('request-scoped providers are made for each message, and have that message', async () => {
      const topic = newTopic();
      const seen: { readonly instance: number; readonly requested: string | undefined; readonly n: number }[] = [];
      let instances = 0;

      @Injectable({ scope: Scope.REQUEST })
      class Unit {
        readonly instance = instances++;
        constructor(@Inject(REQUEST) private readonly request: PulsarContext) {}

        get name(): string | undefined {
          return this.request.properties['unit'];
        }
      }

      @Injectable()
      class Ledger {
        constructor(@Inject(Unit) private readonly unit: Unit) {}

        @PulsarSubscribe({ topic, subscription: 's', concurrency: 8 })
        async book(@Payload() n: number, @Ctx() context: PulsarContext): Promise<void> {
          const { instance } = this.unit;
          // Others run meanwhile; this one keeps its own.
          await new Promise((resolve) => setTimeout(resolve, 5));
          expect(this.unit.instance).toBe(instance);
          expect(context.properties['unit']).toBe(this.unit.name);
          seen.push({ instance, requested: this.unit.name, n });
        }
      }

      const app = await start(url(), { providers: [Unit, Ledger] });
      await Promise.all(numbered(20).map((n) => app.publisher.publish(topic, n, { properties: { unit: `U-${n}` } })));
      await expect.poll(() => sorted(seen.map(({ n }) => n)), POLL).toEqual(numbered(20));
      expect(new Set(seen.map(({ instance }) => instance)).size).toBe(20);
      expect(seen.every(({ requested, n }) => requested === `U-${n}`)).toBe(true);
      await expect.poll(() => backlogOf(topic), POLL).toBe(0);
    });
  });

  it('a topic that takes nothing more holds up only what is published to it, until it has room', async () => {
    const quota = { limitSize: FULL_BYTES, limitTime: -1, policy: 'producer_request_hold' };
    await pulsar.admin.request('PUT', `/admin/v2/namespaces/${FULL_NAMESPACE}`);
    await pulsar.admin.request('POST', `/admin/v2/namespaces/${FULL_NAMESPACE}/backlogQuota`, quota);
    const [full, free] = [`${FULL_NAMESPACE}/full`, `${FULL_NAMESPACE}/free`];
    await pulsar.admin.request('PUT', `/admin/v2/persistent/${full}/subscription/s`);
    const { consumers, publisher } = await start(pulsar.serviceUrl);
    await publisher.publish(full, 'x'.repeat(2 * FULL_BYTES));
    // The broker looks every second, and takes the producer away.
    await expect.poll(async () => (await pulsar.admin.topicStats(full)).publishers, POLL).toEqual([]);

    let held = true;
    const last = publisher.publish(full, 'last').then(() => {
      held = false;
    });
    const others = await Promise.all(numbered(200).map((n) => publisher.publish(free, n)));
    expect(others).toHaveLength(200);
    await publisher.flush(free);
    expect(held).toBe(true);

    const seen: unknown[] = [];
    await consumers.register({ topic: full, subscription: 's' }, (text: string) => void seen.push(text.length));
    await last;
    await expect.poll(() => seen, POLL).toEqual([2 * FULL_BYTES, 4]);
  });
});
