import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { nack, PulsarConsumers, PulsarModule, type PulsarModuleOptions, PulsarPublisher } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { FaultInjectingTransport, injectedFault } from '@smartpulse/pulsar/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const TOPIC = 'persistent://public/default/work';

interface Bench {
  readonly app: INestApplicationContext;
  readonly transport: FaultInjectingTransport;
  readonly publisher: PulsarPublisher;
  readonly consumers: PulsarConsumers;
}

async function boot(
  clock: VirtualClock,
  broker: InProcessBroker,
  seed = 1,
  options: Partial<PulsarModuleOptions> = {},
): Promise<Bench> {
  const transport = new FaultInjectingTransport(new InProcessTransport(broker));
  @Module({
    imports: [
      ResilienceModule.forRoot({ clock, random: new SeededRandom(seed) }),
      PulsarModule.forRoot({
        url: 'memory://',
        transport,
        ownTransport: true,
        producer: { batchMaxDelayMs: 5 },
        ...options,
      }),
    ],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  return { app, transport, publisher: app.get(PulsarPublisher), consumers: app.get(PulsarConsumers) };
}

async function close(clock: VirtualClock, ...apps: INestApplicationContext[]): Promise<void> {
  const closing = Promise.all(apps.map((app) => app.close()));
  await clock.advance(120_000);
  await closing;
}

/** Settles a promise while virtual time goes on. */
async function settled<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let done = false;
  const watched = promise.finally(() => {
    done = true;
  });
  watched.catch(() => undefined);
  await clock.until(() => done);
  return watched;
}

describe('producer pool', () => {
  it('makes one producer per topic under any number of concurrent first publishes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 60 }),
        fc.nat(50),
        async (topics, delayMs) => {
          const clock = new VirtualClock();
          const broker = new InProcessBroker({ clock, random: new SeededRandom() });
          const { app, transport, publisher } = await boot(clock, broker);
          transport.plan = ({ point }) =>
            point === 'createProducer' ? clock.sleep(delayMs).then(() => undefined) : undefined;
          await settled(clock, Promise.all(topics.map((topic, n) => publisher.publish(topic, n))));
          expect(transport.passed('createProducer')).toBe(new Set(topics).size);
          await close(clock, app);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('does not keep a failed creation', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 20 }), async (failures, callers) => {
        const clock = new VirtualClock();
        const broker = new InProcessBroker({ clock, random: new SeededRandom() });
        const { app, transport, publisher } = await boot(clock, broker);
        transport.plan = ({ point, topic, count }) =>
          point === 'createProducer' && count < failures ? clock.sleep(1).then(() => injectedFault(topic)) : undefined;
        for (let round = 0; round < failures; round++) {
          const outcomes = await settled(
            clock,
            Promise.allSettled(Array.from({ length: callers }, (_, n) => publisher.publish('work', n))),
          );
          expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
        }
        await settled(clock, Promise.all(Array.from({ length: callers }, (_, n) => publisher.publish('work', n))));
        expect(transport.passed('createProducer')).toBe(failures + 1);
        expect(broker.stats(TOPIC).messages).toBe(callers);
        await close(clock, app);
      }),
      { numRuns: 30 },
    );
  });

  it('stores messages of a topic in the order of the calls, also across the creation of the producer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { minLength: 2, maxLength: 40 }), fc.nat(6), async (gaps, creationTurns) => {
        const clock = new VirtualClock();
        const broker = new InProcessBroker({ clock, random: new SeededRandom() });
        const { app, transport, publisher, consumers } = await boot(clock, broker, 1, {
          producer: { batching: false },
        });
        transport.plan = ({ point }) =>
          point === 'createProducer' ? turns(creationTurns).then(() => undefined) : undefined;
        const seen: number[] = [];
        await consumers.register(
          { topic: 'work', subscription: 's', type: 'Exclusive' },
          (n: number) => void seen.push(n),
        );
        const sends: Promise<unknown>[] = [];
        for (const [n, gap] of gaps.entries()) {
          sends.push(publisher.publish('work', n));
          await turns(gap);
        }
        await settled(clock, Promise.all(sends));
        await clock.advance(1);
        expect(seen).toEqual(gaps.map((_, n) => n));
        await close(clock, app);
      }),
      { numRuns: 60 },
    );
  });
});

describe('poison', () => {
  it('reaches the dead letter after exactly maxAttempts handler runs, and nothing else does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.record({ failures: fc.nat(9), key: fc.constantFrom('a', 'b', undefined) }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.constantFrom('Shared' as const, 'Key_Shared' as const, 'Exclusive' as const),
        async (maxAttempts, messages, type) => {
          const clock = new VirtualClock();
          const broker = new InProcessBroker({ clock, random: new SeededRandom() });
          const { app, publisher, consumers } = await boot(clock, broker);
          const runs = messages.map(() => 0);
          const letters: number[] = [];
          const handle = await consumers.register(
            {
              topic: 'work',
              subscription: 's',
              type,
              maxAttempts,
              ...(type === 'Exclusive' ? {} : { concurrency: 3 }),
            },
            (n: number) => {
              runs[n] = (runs[n] ?? 0) + 1;
              if ((runs[n] ?? 0) <= (messages[n]?.failures ?? 0)) {
                throw new Error('not yet');
              }
            },
          );
          await consumers.register({ topic: 'work-s-DLQ', subscription: 'look' }, (n: number) => void letters.push(n));
          const sends = messages.map(({ key }, n) => publisher.publish('work', n, { key }));
          await settled(clock, Promise.all(sends));
          await clock.until(() => handle.stats().acked === messages.length, 86_400_000);
          await clock.advance(100);
          messages.forEach(({ failures }, n) => expect(runs[n]).toBe(Math.min(failures + 1, maxAttempts)));
          const poisoned = messages.flatMap(({ failures }, n) => (failures >= maxAttempts ? [n] : []));
          expect(letters.toSorted((a, b) => a - b)).toEqual(poisoned);
          await close(clock, app);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('delivery', () => {
  it('handles or dead-letters every stored message, whatever fails: handlers, acknowledgements, dead letters, consumers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom('Shared' as const, 'Key_Shared' as const),
        async (seed, count, type) => {
          const chance = new SeededRandom(seed);
          const clock = new VirtualClock();
          const broker = new InProcessBroker({ clock, random: chance });
          const one = await boot(clock, broker, seed);
          const two = await boot(clock, broker, seed + 1);
          let calm = true;
          const handled = new Set<number>();
          const letters = new Set<number>();
          for (const { transport, consumers } of [one, two]) {
            transport.plan = ({ point, topic }) => {
              if (calm) {
                return undefined;
              }
              const likely = point === 'subscribe' ? 0.3 : point === 'ack' ? 0.2 : topic.endsWith('DLQ') ? 0.5 : 0;
              return chance.next() < likely ? injectedFault(topic) : undefined;
            };
            await register(consumers, type, (n) => {
              const dice = calm ? 1 : chance.next();
              if (dice < 0.3) {
                throw new Error('random');
              }
              if (dice < 0.4) {
                return nack(chance.int(2_000));
              }
              handled.add(n);
              return undefined;
            });
            await consumers.register({ topic: 'work-s-DLQ', subscription: 'look' }, (n: number) => void letters.add(n));
          }
          const stored: number[] = [];
          calm = false;
          for (let n = 0; n < count; n++) {
            const sent = one.publisher.publish('work', n, { key: `k${chance.int(5)}` });
            void sent.then(() => stored.push(n));
            if (chance.next() < 0.1) {
              await (chance.next() < 0.5 ? one : two).transport.dropConsumers();
            }
            await clock.advance(chance.int(500));
          }
          calm = true;
          await clock.until(() => broker.stats(TOPIC).backlog('s') === 0 && stored.length === count, 86_400_000);
          await clock.advance(60_000);
          expect(stored.filter((n) => !handled.has(n) && !letters.has(n))).toEqual([]);
          await close(clock, one.app, two.app);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the order of each key through retries, with at most one handler per key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 1, max: 16 }),
        fc.constantFrom('Shared' as const, 'Key_Shared' as const),
        async (seed, count, concurrency, type) => {
          const chance = new SeededRandom(seed);
          const clock = new VirtualClock();
          const broker = new InProcessBroker({ clock, random: chance });
          const { app, publisher, consumers } = await boot(clock, broker, seed);
          const running = new Set<string>();
          const order = new Map<string, number[]>();
          const handle = await consumers.register(
            { topic: 'work', subscription: 's', type, concurrency, maxAttempts: 1_000 },
            async (n: number, { key = '' }) => {
              expect(running.has(key)).toBe(false);
              running.add(key);
              await clock.sleep(chance.int(50));
              running.delete(key);
              if (chance.next() < 0.4) {
                throw new Error('again');
              }
              order.set(key, [...(order.get(key) ?? []), n]);
            },
          );
          const expected = new Map<string, number[]>();
          const sends = Array.from({ length: count }, (_, n) => {
            const key = `k${chance.int(4)}`;
            expected.set(key, [...(expected.get(key) ?? []), n]);
            return publisher.publish('work', n, { key });
          });
          await settled(clock, Promise.all(sends));
          await clock.until(() => handle.stats().acked === count, 86_400_000);
          expect(order).toEqual(expected);
          await close(clock, app);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('stops under load without losing a message, a send or a timer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.nat(400), async (seed, stopAfterMs) => {
        const chance = new SeededRandom(seed);
        const clock = new VirtualClock();
        const broker = new InProcessBroker({ clock, random: chance });
        const first = await boot(clock, broker, seed);
        const handled: number[] = [];
        let closed = false;
        const work = async (n: number): Promise<void> => {
          expect(closed).toBe(false);
          await clock.sleep(chance.int(80));
          handled.push(n);
        };
        await register(first.consumers, 'Key_Shared', work);
        const stored: number[] = [];
        for (let n = 0; n < 120; n++) {
          void first.publisher.publish('work', n, { key: `k${n % 7}` }).then(() => stored.push(n));
        }
        await clock.advance(stopAfterMs);
        const begun = handled.length;
        await close(clock, first.app);
        closed = true;
        expect(clock.pendingTimers).toBe(0);
        expect(stored).toHaveLength(120);
        // Only handlers that ran at the stop end after it.
        expect(handled.length - begun).toBeLessThanOrEqual(4);
        closed = false;
        const second = await boot(clock, broker, seed);
        await register(second.consumers, 'Key_Shared', work);
        await clock.until(() => broker.stats(TOPIC).backlog('s') === 0);
        expect(handled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, n) => n));
        await close(clock, second.app);
      }),
      { numRuns: 40 },
    );
  });
});

async function register(
  consumers: PulsarConsumers,
  type: 'Shared' | 'Key_Shared',
  handler: (n: number) => Promise<void> | ReturnType<typeof nack> | undefined,
): Promise<void> {
  await consumers.register({ topic: 'work', subscription: 's', type, concurrency: 4, maxAttempts: 3 }, (n: number) =>
    handler(n),
  );
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await Promise.resolve();
  }
}
