import { resolve } from 'node:path';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PulsarConsumers, PulsarModule, PulsarPublisher, type PulsarTransport } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { transportTo } from '../../support/pulsar/transports.js';
import { WatchedTransport } from '../../support/pulsar-faults/watched-transport.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const NAMESPACE = 'public/default';
const BACKLOG = 200;
/** Messages of the backlog that are done with before the stop; handlers hold some of the others, the rest waits for them. */
const EARLY = 20;
/** What is published once the stop has begun. */
const LATE = 50;
/** Handlers that run when it begins. */
const BUSY = 10;
const BATCH = 8;
/** Permits that the broker has left then: less than become free when what runs ends, so that without the stop it would be given others. */
const SPARE = 8;

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const subscriptionOf = async (topic: string) =>
  (await pulsar.admin.topicStats(`${NAMESPACE}/${topic}`)).subscriptions['s'];

async function start(url: string, transport?: PulsarTransport) {
  @Module({
    imports: [
      ResilienceModule.forRoot(),
      PulsarModule.forRoot({
        url,
        namespace: NAMESPACE,
        producer: { batching: false },
        ...(transport === undefined ? {} : { transport, ownTransport: true }),
      }),
    ],
  })
  class AppModule {}
  return await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
}

describe.runIf(runtime !== undefined)('the stop on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  describe.each([
    ['wire', () => pulsar.serviceUrl],
    ['websocket', () => pulsar.webSocketUrl],
  ] as const)('by %s', (transport, url) => {
    it.each([
      ['enableGracefulShutdown', false],
      ['enableGracefulShutdown', true],
      ['app.close() alone', false],
      ['app.close() alone', true],
    ])(
      '%s, batches: %s: since its beginning no handler is given a message and no permit is given; what still comes for those that the broker has goes back, as does what had not begun; what runs ends and is acknowledged, no send is lost',
      { timeout: 120_000 },
      async (mode, batched) => {
        const name = `${transport}-${mode.replaceAll(/\W/g, '')}-${batched}`;
        const watched = new WatchedTransport(transportTo(transport, url()));
        const app = await start(url(), watched);
        if (mode === 'enableGracefulShutdown') {
          enableGracefulShutdown(app, { signals: false });
        }
        const sender = await start(url());
        const send = (from: number, to: number): Promise<unknown> =>
          Promise.all(
            Array.from({ length: to - from }, (_, index) =>
              sender.get(PulsarPublisher).publish(name, from + index, { key: `k${index % 20}` }),
            ),
          );
        const coordinator = app.get(ShutdownCoordinator);
        watched.isWatching = () => coordinator.isStopping;
        const publisher = app.get(PulsarPublisher);
        const given: number[] = [];
        const givenAfterStop: number[] = [];
        let stored = 0;
        let late: Promise<unknown> | undefined;
        const work = async (numbers: readonly number[]): Promise<void> => {
          (coordinator.isStopping ? givenAfterStop : given).push(...numbers);
          if (numbers.some((n) => n >= EARLY)) {
            // It runs until what comes late has come.
            await vi.waitFor(() => expect(watched.handedOut).toHaveLength(SPARE), { timeout: 30_000 });
          }
          // What comes out of a handler that ends during the stop.
          await Promise.all(numbers.map((n) => publisher.publish(`${name}-out`, n)));
          stored += numbers.length;
        };
        const common = { topic: name, subscription: 's', type: 'Key_Shared', concurrency: BUSY } as const;
        // What handlers can be given at once is asked for on top of the prefetch.
        const atOnce = BUSY * (batched ? BATCH : 1);
        const ahead = { ...common, prefetch: BACKLOG - EARLY + SPARE - atOnce, maxHeldBack: 0 };
        const consumers = app.get(PulsarConsumers);
        const handle = batched
          ? await consumers.register({ ...ahead, batch: { maxMessages: BATCH } }, (numbers: number[]) => work(numbers))
          : await consumers.register(ahead, (n: number) => work([n]));
        await send(0, EARLY);
        await vi.waitFor(() => expect(handle.stats()).toMatchObject({ acked: EARLY, inFlight: 0 }), {
          timeout: 30_000,
        });
        await send(EARLY, BACKLOG);
        await vi.waitFor(
          () => {
            expect(handle.stats().received).toBe(BACKLOG);
            expect(given.length).toBeGreaterThanOrEqual(EARLY + BUSY);
          },
          { timeout: 30_000 },
        );
        coordinator.register({
          name: 'late messages',
          phase: 'intake',
          stop: () => void (late = send(BACKLOG, BACKLOG + LATE)),
        });
        await app.close();
        await late;
        const { received, acked, unsettled } = handle.stats();
        expect(givenAfterStop).toEqual([]);
        expect({ received, unsettled, permitted: watched.permitted }).toEqual({
          received: BACKLOG,
          unsettled: 0,
          permitted: 0,
        });
        // The broker used its permits: without the stop they would have been taken for the handler.
        expect(watched.handedOut.map(Number).filter((n) => n >= BACKLOG)).toHaveLength(SPARE);
        expect(coordinator.report.clean).toBe(true);
        expect([acked, stored]).toEqual([given.length, given.length]);
        expect(given.length).toBeLessThan(BACKLOG);
        expect(await pulsar.admin.entries(`${NAMESPACE}/${name}-out`)).toBe(stored);
        // The rest goes back: another instance of the app gets each of them, and nothing that was handled.
        const next = await start(url());
        const seen = new Set<number>();
        await next.get(PulsarConsumers).register(common, (n: number) => void seen.add(n));
        const rest = BACKLOG + LATE - given.length;
        await vi.waitFor(() => expect(seen.size).toBe(rest), { timeout: 30_000 });
        await expect.poll(async () => (await subscriptionOf(name))?.msgBacklog, { timeout: 10_000 }).toBe(0);
        expect(seen.size).toBe(rest);
        expect(given.filter((n) => seen.has(n))).toEqual([]);
        await Promise.all([next.close(), sender.close()]);
      },
    );

    it(
      'cuts the wait of a retry, and gives back at its deadline what a handler holds',
      { timeout: 120_000 },
      async () => {
        const name = `${transport}-waits`;
        const app = await start(url());
        enableGracefulShutdown(app, { signals: false, phaseTimeoutsMs: { work: 1_000 } });
        const consumers = app.get(PulsarConsumers);
        const begun = new Set<string>();
        let aborted = false;
        await consumers.register(
          { topic: name, subscription: 'retry', backoff: { initialMs: 3_600_000, maxMs: 3_600_000 } },
          () => {
            begun.add('retry');
            throw new Error('not yet');
          },
        );
        await consumers.register({ topic: name, subscription: 'hang', timeoutMs: 0 }, (_: unknown, { signal }) => {
          begun.add('hang');
          return new Promise<void>(() => signal.addEventListener('abort', () => (aborted = true)));
        });
        await app.get(PulsarPublisher).publish(name, 1);
        await vi.waitFor(() => expect(begun.size).toBe(2), { timeout: 30_000 });
        const startMs = performance.now();
        await app.close();
        expect(performance.now() - startMs).toBeLessThan(20_000);
        expect(aborted).toBe(true);
        expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: false, leftOver: 1 });
        const next = await start(url());
        const again = new Set<string>();
        for (const subscription of ['retry', 'hang']) {
          await next.get(PulsarConsumers).register({ topic: name, subscription }, () => void again.add(subscription));
        }
        await vi.waitFor(() => expect(again.size).toBe(2), { timeout: 30_000 });
        await next.close();
      },
    );

    it(
      'by SIGTERM, with requests open and handlers busy: every request is answered, every send stored, the process ends with 0',
      { timeout: 180_000 },
      async () => {
        const name = `${transport}-sigterm`;
        const sender = await start(url());
        await Promise.all(
          Array.from({ length: BACKLOG }, (_, n) =>
            sender.get(PulsarPublisher).publish(name, n, { key: `k${n % 20}` }),
          ),
        );
        await sender.close();
        const child = new StartedProcess(
          process.execPath,
          ['test/support/process/run-source.mjs', 'test/services/pulsar/drain-app.ts'],
          { cwd: ROOT, env: { PULSAR_URL: url(), DRAIN_TOPIC: name } },
        );
        try {
          const [, address = ''] = await child.until(/listening (\S+)/);
          const requests = [1, 2, 3].map(async () => await (await fetch(`${address}/slow`)).text());
          await child.until(/(?:request begun\n[^]*){3}/);
          await child.until(/handler begun/);
          child.kill('SIGTERM');
          expect(await Promise.all(requests)).toEqual(['stored', 'stored', 'stored']);
          const { code, output } = await child.ended;
          expect(code).toBe(0);
          const told = JSON.parse(/told (.*)/.exec(output)?.[1] ?? '{}') as Record<string, number>;
          expect(told['startedAfterStop']).toBe(0);
          expect(told['handled']).toBeGreaterThan(0);
          expect(told['stored']).toBe((told['handled'] ?? 0) + 3);
          expect(await pulsar.admin.entries(`${NAMESPACE}/${name}-out`)).toBe(told['stored']);
          expect((await subscriptionOf(name))?.msgBacklog).toBe(BACKLOG - (told['handled'] ?? 0));
        } finally {
          await child.clear();
        }
      },
    );

    it('leaves what it does not begin to another replica before it has ended', { timeout: 60_000 }, async () => {
      const name = `${transport}-replicas`;
      const first = await start(url());
      enableGracefulShutdown(first, { signals: false });
      const second = await start(url());
      const publisher = second.get(PulsarPublisher);
      let release = (): void => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      const begun: number[] = [];
      const seen = new Map<string, Set<number>>();
      const take = (app: string, type: string, n: number): void => {
        const key = `${app} ${type}`;
        seen.set(key, (seen.get(key) ?? new Set()).add(n));
      };
      // By WebSocket the broker's side reads ahead, and a busy Shared consumer keeps that until its handlers have ended.
      const types = transport === 'wire' ? (['Key_Shared', 'Shared'] as const) : (['Key_Shared'] as const);
      const isBusy = transport === 'wire';
      for (const type of types) {
        // The handlers of Shared are busy when the stop begins; those of Key_Shared have nothing to do, and their permits are with the broker.
        const common = { topic: `${name}-${type}`, subscription: 's', type, prefetch: 20, concurrency: 1 };
        await first.get(PulsarConsumers).register(common, async (n: number) => {
          begun.push(n);
          await held;
          take('first', type, n);
        });
      }
      // Something else keeps the app from its end.
      await first.get(PulsarConsumers).register({ topic: `${name}-busy`, subscription: 's' }, async (n: number) => {
        begun.push(n);
        await held;
      });
      const running = isBusy ? [`${name}-Shared`, `${name}-busy`] : [`${name}-busy`];
      await Promise.all(running.map((topic) => publisher.publish(topic, -1)));
      await vi.waitFor(() => expect(begun).toHaveLength(running.length), { timeout: 10_000 });
      const closing = first.close();
      // Who has nothing to do leaves; whose handler runs stays until it has ended.
      const consumers = (): Promise<unknown> =>
        Promise.all(types.map(async (type) => (await subscriptionOf(`${name}-${type}`))?.consumers.length));
      await expect.poll(consumers, { timeout: 10_000 }).toEqual(types.map((type) => (type === 'Shared' ? 1 : 0)));
      for (const type of types) {
        const common = { topic: `${name}-${type}`, subscription: 's', type };
        await second.get(PulsarConsumers).register(common, (n: number) => take('second', type, n));
        await Promise.all(
          Array.from({ length: 50 }, (_, n) => publisher.publish(`${name}-${type}`, n, { key: `k${n}` })),
        );
      }
      await vi.waitFor(
        () => expect(types.map((type) => seen.get(`second ${type}`)?.size)).toEqual(types.map(() => 50)),
        {
          timeout: 10_000,
        },
      );
      expect(first.get(ShutdownCoordinator).isStopping).toBe(true);
      expect([...seen.keys()].toSorted()).toEqual(types.map((type) => `second ${type}`));
      release();
      await closing;
      expect([...(seen.get('first Shared') ?? [])]).toEqual(isBusy ? [-1] : []);
      await second.close();
    });
  });
});
