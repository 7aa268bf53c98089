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
