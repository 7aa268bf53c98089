import { enableGracefulShutdown, ShutdownCoordinator } from '@smartpulse/resilience';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { startApp, type TestApp, type TestAppParts } from '../testing/test-app.js';

const TOPIC = 'persistent://public/default/t';
const OUT = 'persistent://public/default/out';
const BACKLOG = 100;

type Mode = 'enableGracefulShutdown' | 'app.close() alone';

async function open(mode: Mode, parts: TestAppParts = {}): Promise<TestApp> {
  const app = await startApp(parts);
  if (mode === 'enableGracefulShutdown') {
    enableGracefulShutdown(app.app, { signals: false });
  }
  return app;
}

/** Closes the app; answers how much time that took. */
async function close(app: TestApp): Promise<number> {
  const { clock } = app;
  const startMs = clock.monotonic();
  let tookMs: number | undefined;
  void app.app.close().then(() => (tookMs = clock.monotonic() - startMs));
  await clock.until(() => tookMs !== undefined);
  return tookMs ?? Number.NaN;
}

/** What a handler of one message, or of a batch, saw of the stop. */
class Ledger {
  startedAfterStop = 0;
  readonly done: number[] = [];
  #stopping: () => boolean = () => false;

  constructor(private readonly clock: VirtualClock) {}

  watch(isStopping: () => boolean): void {
    this.#stopping = isStopping;
  }

  async handle(numbers: readonly number[], takesMs: number): Promise<void> {
    this.startedAfterStop += this.#stopping() ? 1 : 0;
    await this.clock.sleep(takesMs);
    this.done.push(...numbers);
  }
}

describe.each<Mode>(['enableGracefulShutdown', 'app.close() alone'])('a stop by %s', (mode) => {
  it.each([
    ['one message', false],
    ['a batch', true],
  ])(
    'with busy handlers of %s takes no message and starts no handler any more, finishes what runs and loses no send',
    async (_, batched) => {
      const app = await open(mode);
      const { broker, clock, consumers, publisher } = app;
      const coordinator = app.app.get(ShutdownCoordinator);
      const ledger = new Ledger(clock);
      ledger.watch(() => coordinator.isStopping);
      const common = { topic: 't', subscription: 's', type: 'Key_Shared', concurrency: 4 } as const;
      const stored: unknown[] = [];
      const work = async (numbers: readonly number[]): Promise<void> => {
        await ledger.handle(numbers, 700);
        // What comes out of a handler that ends during the stop is stored like everything else.
        stored.push(...(await Promise.all(numbers.map((n) => publisher.publish('out', n)))));
      };
      const handle = batched
        ? await consumers.register({ ...common, batch: { maxMessages: 5 } }, (numbers: number[]) => work(numbers))
        : await consumers.register(common, (n: number) => work([n]));
      for (let n = 0; n < BACKLOG; n++) {
        await publisher.publish('t', n, { key: `k${n % 20}` });
      }
      await clock.advance(1_000);
      let receivedAtStop = -1;
      coordinator.register({
        name: 'look',
        phase: 'intake',
        stop: () => void (receivedAtStop = handle.stats().received),
      });
      const tookMs = await close(app);
      const { received, acked } = handle.stats();
      expect(ledger.done.length).toBeGreaterThan(3);
      expect(ledger.startedAfterStop).toBe(0);
      expect(received).toBe(receivedAtStop);
      expect(tookMs).toBeLessThanOrEqual(700);
      expect(acked).toBe(ledger.done.length);
      expect(broker.stats(TOPIC).backlog('s')).toBe(BACKLOG - acked);
      expect([stored.length, broker.stats(OUT).messages]).toEqual([acked, acked]);
      expect(coordinator.report.clean).toBe(true);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it.each([
    ['one message', false],
    ['a batch', true],
  ])('ends the wait of a retry of %s, which comes again elsewhere', async (_, batched) => {
    const app = await open(mode);
    const { broker, clock, consumers, publisher } = app;
    const fail = (): never => {
      throw new Error('not yet');
    };
    const backoff = { initialMs: 3_600_000, maxMs: 3_600_000, jitter: 'none' } as const;
    const common = { topic: 't', subscription: 's', backoff };
    await (batched ? consumers.register({ ...common, batch: {} }, fail) : consumers.register(common, fail));
    await publisher.publish('t', 1);
    await clock.advance(1_000);
    expect(await close(app)).toBeLessThan(100);
    expect(broker.stats(TOPIC).backlog('s')).toBe(1);
    expect(app.app.get(ShutdownCoordinator).report.clean).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    ['one message', false],
    ['a batch', true],
  ])('whose time is used up aborts the handler of %s, says what is left over and gives it back', async (_, batched) => {
    const app = await open(mode);
    const { broker, clock, consumers, publisher } = app;
    let aborted = false;
    const hang = (signal: AbortSignal): Promise<void> =>
      new Promise(() => signal.addEventListener('abort', () => (aborted = true)));
    const common = { topic: 't', subscription: 's', timeoutMs: 0 };
    await (batched
      ? consumers.register({ ...common, batch: {} }, (_payloads: unknown[], { signal }) => hang(signal))
      : consumers.register(common, (_payload: unknown, { signal }) => hang(signal)));
    await publisher.publish('t', 1);
    await publisher.publish('t', 2);
    await clock.advance(1_000);
    const tookMs = await close(app);
    const { report, options } = app.app.get(ShutdownCoordinator);
    expect(aborted).toBe(true);
    expect(tookMs).toBeGreaterThanOrEqual(options.phaseTimeoutsMs.work);
    expect(report).toMatchObject({ clean: false, leftOver: batched ? 2 : 1 });
    expect(broker.stats(TOPIC).backlog('s')).toBe(2);
  });
});

/** Two replicas of an app on one broker, of which the first is stopped while a handler of another subscription keeps it busy. */
describe('a replica that stops', () => {
  it.each(['Key_Shared', 'Shared', 'Failover', 'Exclusive'] as const)(
    'gives up its %s subscription as soon as none of its handlers runs, and not when the whole app has ended',
    async (type) => {
      const first = await open('enableGracefulShutdown');
      const { clock } = first;
      const second = await startApp({ broker: first.broker });
      const common = { topic: 't', subscription: 's', type } as const;
      const seen: string[] = [];
      await first.consumers.register({ topic: 'busy', subscription: 's' }, () => clock.sleep(5_000));
      await first.consumers.register(common, (n: number) => void seen.push(`first ${n}`));
      await first.publisher.publish('busy', 1);
      await clock.advance(1_000);
      let isClosed = false;
      void first.app.close().then(() => (isClosed = true));
      await clock.advance(100);
      await second.consumers.register(common, (n: number) => void seen.push(`second ${n}`));
      for (let n = 0; n < 20; n++) {
        await second.publisher.publish('t', n, { key: `k${n}` });
      }
      await clock.advance(2_000);

      expect(isClosed).toBe(false);
      expect(seen.toSorted()).toEqual(Array.from({ length: 20 }, (_, n) => `second ${n}`).toSorted());
      await clock.until(() => isClosed);
      await second.close();
    },
  );

  it('gives back at once on Shared what comes for the permits that the broker still has, while its handlers run', async () => {
    const first = await open('enableGracefulShutdown');
    const { clock } = first;
    const second = await startApp({ broker: first.broker });
    const common = { topic: 't', subscription: 's', type: 'Shared' } as const;
    const seen: string[] = [];
    await first.consumers.register({ ...common, prefetch: 10 }, async (n: number) => {
      await clock.sleep(5_000);
      seen.push(`first ${n}`);
    });
    await first.publisher.publish('t', 0);
    await clock.advance(1_000);
    let isClosed = false;
    void first.app.close().then(() => (isClosed = true));
    await second.consumers.register(common, (n: number) => void seen.push(`second ${n}`));
    for (let n = 1; n < 20; n++) {
      await second.publisher.publish('t', n);
    }
    await clock.advance(2_000);

    expect(isClosed).toBe(false);
    expect(seen.toSorted()).toEqual(Array.from({ length: 19 }, (_, n) => `second ${n + 1}`).toSorted());
    await clock.until(() => isClosed);
    expect(seen).toContain('first 0');
    expect(seen).toHaveLength(20);
    await second.close();
  });
});
