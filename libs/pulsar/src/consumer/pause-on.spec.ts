import { afterEach, describe, expect, it } from 'vitest';
import { PulsarHealthProbe } from '../health/pulsar.health-probe.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import { FailureWindow } from './failure-window.js';

const opened: TestApp[] = [];
const PAUSE_ON = { failureRate: 0.5, window: 4, cooldownMs: 10_000 };

async function open(): Promise<TestApp> {
  const app = await startApp();
  opened.push(app);
  return app;
}

async function publish({ publisher }: TestApp, count: number, from = 0): Promise<void> {
  for (let n = from; n < from + count; n++) {
    await publisher.publish('t', n);
  }
}

afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.close();
    expect(app.clock.pendingTimers).toBe(0);
  }
});

describe('pauseOn', () => {
  it('pauses when the share of failed runs is reached, tries one message after the cool-down, and goes on when it succeeds', async () => {
    const app = await open();
    let failing = true;
    let runs = 0;
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', concurrency: 2, maxAttempts: 100, pauseOn: PAUSE_ON },
      () => {
        runs++;
        if (failing) {
          throw new Error('no');
        }
      },
    );
    await publish(app, 50);
    await app.clock.advance(9_000);
    // The four of the window, and one that was under way beside the last of them.
    const before = runs;
    expect(before).toBeGreaterThanOrEqual(4);
    expect(before).toBeLessThanOrEqual(5);
    expect(handle.state.status).toBe('tripped');
    expect(app.app.get(PulsarHealthProbe).check().status).toBe('degraded');
    await app.clock.advance(10_000);
    expect(runs).toBe(before + 1);
    expect(handle.state.status).toBe('tripped');
    failing = false;
    await app.clock.advance(120_000);
    expect(handle.state.status).toBe('consuming');
    expect(handle.stats()).toMatchObject({ acked: 50, trips: 1, inFlight: 0, deadLettered: 0 });
  });

  it('does not pause below that share, nor before it has seen as many runs as it looks at', async () => {
    const app = await open();
    const pauseOn = { ...PAUSE_ON, window: 10 };
    const failing = (isFailing: (n: number) => boolean) => (n: number) => {
      if (isFailing(n)) {
        throw new Error('no');
      }
    };
    const options = { topic: 't', maxAttempts: 1, pauseOn };
    const below = await app.consumers.register(
      { ...options, subscription: 'below' },
      failing((n) => n % 5 < 2),
    );
    const early = await app.consumers.register(
      { ...options, subscription: 'early' },
      failing((n) => n < 9),
    );
    await publish(app, 9);
    await app.clock.advance(1_000);
    expect([below.stats().failed, early.stats().failed]).toEqual([4, 9]);
    expect([below.state.status, early.state.status]).toEqual(['consuming', 'consuming']);
    await publish(app, 30, 9);
    await app.clock.advance(1_000);
    expect([below.stats().trips, early.stats().trips]).toEqual([0, 1]);
  });

  it('stands in the way of batches, too, of which each message counts', async () => {
    const app = await open();
    const sizes: number[] = [];
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', maxAttempts: 100, batch: { maxMessages: 4 }, pauseOn: PAUSE_ON },
      (numbers: number[]) => {
        sizes.push(numbers.length);
        throw new Error('no');
      },
    );
    await publish(app, 12);
    await app.clock.advance(9_000);
    expect(sizes).toEqual([4]);
    expect(handle.state.status).toBe('tripped');
    await app.clock.advance(1_100);
    expect(sizes).toHaveLength(2);
  });

  it('lets a consumer be closed while it is paused: what it held goes back', async () => {
    const app = await open();
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', maxAttempts: 100, pauseOn: { ...PAUSE_ON, window: 1, failureRate: 1 } },
      () => {
        throw new Error('no');
      },
    );
    await publish(app, 3);
    await app.clock.advance(5_000);
    const closing = handle.close();
    await app.clock.advance(1);
    await closing;
    expect(app.broker.stats('persistent://public/default/t').backlog('s')).toBe(3);
  });
});

describe('FailureWindow', () => {
  it('tells the share of failures among the last runs only', () => {
    const window = new FailureWindow(3);
    const rates = [true, true, false, false, true, true, true].map((failed) => {
      window.add(failed);
      return Math.round(window.rate * 3);
    });
    expect(rates).toEqual([0, 0, 2, 1, 1, 2, 3]);
    window.clear();
    expect(window.rate).toBe(0);
  });
});
