import { afterEach, describe, expect, it } from 'vitest';
import { PulsarRegistry } from './pulsar.registry.js';
import { deadLetter, nack } from './settlement.js';
import { injectedFault } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp, type TestAppParts } from '../testing/test-app.js';

const TOPIC = 'persistent://public/default/t';
const opened: TestApp[] = [];

async function open(parts?: TestAppParts): Promise<TestApp> {
  const app = await startApp(parts);
  opened.push(app);
  return app;
}

afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.close();
    expect(app.clock.pendingTimers).toBe(0);
  }
});

/** A handler's gate: everything waits until it opens. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let openIt = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    openIt = resolve;
  });
  return { opened, open: () => openIt() };
}

describe('a consumer that its transport loses', () => {
  it('holds no more than its window however often that happens, and keeps the order of a key', async () => {
    const { clock, consumers, publisher, transport } = await open();
    const held = gate();
    const seen: number[] = [];
    const handle = await consumers.register(
      { topic: 't', subscription: 's', type: 'Key_Shared', concurrency: 1, prefetch: 2, timeoutMs: 0 },
      async (n: number) => {
        seen.push(n);
        await held.opened;
      },
    );
    for (let n = 0; n < 6; n++) {
      await publisher.publish('t', n, { key: 'k' });
    }
    for (let loss = 0; loss < 8; loss++) {
      await transport.dropConsumers();
      await clock.advance(1_000);
      expect(handle.stats().inFlight).toBeLessThanOrEqual(3);
    }
    held.open();
    await clock.advance(1_000);
    // The first came again because its acknowledgement could not reach the broker any more.
    expect(seen).toEqual([0, 0, 1, 2, 3, 4, 5]);
    expect(handle.stats()).toMatchObject({ nacked: 0, acked: 6, inFlight: 0 });
  });

  it('counts on where the attempts of a message were', async () => {
    const { clock, consumers, publisher, transport, broker } = await open();
    const attempts: number[] = [];
    const handle = await consumers.register(
      { topic: 't', subscription: 's', maxAttempts: 4, backoff: { initialMs: 5_000, multiplier: 1, jitter: 'none' } },
      (_payload, { attempt }) => {
        attempts.push(attempt);
        throw new Error('poison');
      },
    );
    await publisher.publish('t', 1);
    for (let round = 0; round < 4; round++) {
      await clock.advance(1_000);
      await transport.dropConsumers();
      await clock.advance(5_000);
    }
    await clock.advance(60_000);
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(handle.stats()).toMatchObject({ deadLettered: 1, inFlight: 0 });
    expect(broker.stats(`${TOPIC}-s-DLQ`).messages).toBe(1);
  });

  it('gets its whole window again, message for message', async () => {
    const { clock, consumers, publisher, transport, broker } = await open();
    const seen: number[] = [];
    await consumers.register({ topic: 't', subscription: 's', concurrency: 2, prefetch: 1 }, async (n: number) => {
      await clock.sleep(10);
      seen.push(n);
    });
    for (let n = 0; n < 40; n++) {
      await publisher.publish('t', n);
    }
    for (let loss = 0; loss < 5; loss++) {
      await clock.advance(15);
      await transport.dropConsumers();
      await clock.advance(500);
    }
    await clock.advance(1_000);
    expect(new Set(seen).size).toBe(40);
    expect(broker.stats(TOPIC).backlog('s')).toBe(0);
    // Losing consumers while paused owes no permit twice.
    const handle = opened[0]?.app.get(PulsarRegistry).list()[0];
    handle?.pause();
    await transport.dropConsumers();
    await clock.advance(1_000);
    handle?.resume();
    for (let n = 40; n < 80; n++) {
      await publisher.publish('t', n);
    }
    await clock.advance(5);
    expect(broker.stats(TOPIC).subscriptions['s']?.unacked).toBe(3);
    await clock.advance(1_000);
    expect(new Set(seen).size).toBe(80);
  });
});

describe('settling', () => {
  it('gives every permit back, whatever became of the message', async () => {
    const { clock, consumers, publisher, broker, transport } = await open();
    let runs = 0;
    await consumers.register(
      {
        topic: 't',
        subscription: 's',
        concurrency: 2,
        prefetch: 0,
        maxAttempts: 2,
        timeoutMs: 100,
        backoff: { initialMs: 1, jitter: 'none' },
      },
      (n: number, { signal }) => {
        switch (runs++ && n % 5) {
          case 0:
            return nack(5);
          case 1:
            return deadLetter('as asked');
          case 2:
            throw new Error('failed');
          case 3:
            return new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error())));
          default:
            return undefined;
        }
      },
    );
    transport.plan = ({ point, topic, count }) =>
      point === 'ack' && count % 3 === 0 ? injectedFault(topic) : undefined;
    for (let n = 0; n < 50; n++) {
      await publisher.publish('t', n);
    }
    await clock.advance(600_000);
    expect(broker.stats(TOPIC).backlog('s')).toBe(0);
  });

  it('runs no handler again for a message whose dead letter is stored', async () => {
    const { clock, consumers, publisher, broker } = await open();
    let runs = 0;
    let failures = 2;
    await consumers.register(
      {
        topic: 't',
        subscription: 's',
        onDeadLetter: async () => {
          if (failures-- > 0) {
            throw new Error('not now');
          }
        },
      },
      () => {
        runs++;
        return deadLetter('not for me');
      },
    );
    await publisher.publish('t', 1);
    await clock.advance(60_000);
    expect(runs).toBe(1);
    expect(broker.stats(`${TOPIC}-s-DLQ`).messages).toBe(1);
    expect(broker.stats(TOPIC).backlog('s')).toBe(0);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, 1e12])('refuses nack(%d) where it is called', (delayMs) => {
    expect(() => nack(delayMs)).toThrow(/0 to 86400000/);
  });
});

describe('a consumer that stops', () => {
  it('starts nothing when somebody resumes it then', async () => {
    const { clock, consumers, publisher, broker } = await open();
    const seen: number[] = [];
    const handle = await consumers.register({ topic: 't', subscription: 's' }, (n: number) => void seen.push(n));
    handle.pause();
    await publisher.publish('t', 1);
    await clock.settle();
    consumers.stopIntake();
    handle.resume();
    await clock.advance(1_000);
    expect(seen).toEqual([]);
    expect(broker.stats(TOPIC).backlog('s')).toBe(1);
  });
});

describe('a consumer whose subscription cannot be deleted', () => {
  it('says so and has left it all the same: another one takes over', async () => {
    const { broker, clock, consumers, publisher } = await open();
    const other = await open({ broker });
    const seen: string[] = [];
    const common = { topic: 't', subscription: 's', type: 'Failover' } as const;
    const handle = await consumers.register(common, (n: number) => void seen.push(`first ${n}`));
    await other.consumers.register(common, (n: number) => void seen.push(`second ${n}`));

    const refused = expect(handle.unsubscribe()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CONSUMER_BUSY' });
    await clock.advance(1_000);
    await refused;
    expect(handle.state.status).toBe('closed');
    await publisher.publish('t', 1);
    await clock.advance(1_000);

    expect(seen).toEqual(['second 1']);
  });
});

describe('an outage', () => {
  it('ends although a probe hangs', async () => {
    const { clock, consumers, publisher } = await open();
    let up = false;
    const probes: AbortSignal[] = [];
    const handle = await consumers.register(
      {
        topic: 't',
        subscription: 's',
        timeoutMs: 2_000,
        isOutage: () => !up,
        probe: (signal) => {
          probes.push(signal);
          return probes.length === 1 ? new Promise<void>(() => undefined) : Promise.resolve();
        },
      },
      () => {
        if (!up) {
          throw new Error('down');
        }
      },
    );
    await publisher.publish('t', 1);
    await clock.advance(1_500);
    expect([probes.length, handle.state.status]).toEqual([1, 'outage']);
    up = true;
    await clock.advance(30_000);
    expect(probes[0]?.aborted).toBe(true);
    expect(handle.stats()).toMatchObject({ acked: 1, outages: 1 });
    expect(handle.state.status).toBe('consuming');
  });

  it('lets one message at a time find out whether it is over, with growing waits, and spends no attempt', async () => {
    const { clock, consumers, publisher } = await open();
    let up = false;
    const runs: number[] = [];
    let running = 0;
    let most = 0;
    const handle = await consumers.register(
      {
        topic: 't',
        subscription: 's',
        concurrency: 8,
        maxAttempts: 1,
        isOutage: (error) => error instanceof Error && error.message === 'down',
        backoff: { initialMs: 1_000, multiplier: 2, maxMs: 60_000, jitter: 'none' },
      },
      async () => {
        most = Math.max(most, ++running);
        runs.push(clock.monotonic());
        await clock.sleep(10);
        running--;
        if (!up) {
          throw new Error('down');
        }
      },
    );
    for (let n = 0; n < 40; n++) {
      await publisher.publish('t', n);
    }
    await clock.advance(20);
    const first = runs.length;
    expect(first).toBe(8);
    most = 0;
    await clock.advance(100_000);
    expect(most).toBe(1);
    const gaps = runs.slice(first).map((at, index, all) => (index === 0 ? 0 : at - (all[index - 1] ?? 0)));
    expect(gaps.slice(1, 5)).toEqual([2_010, 4_010, 8_010, 16_010]);
    up = true;
    await clock.advance(120_000);
    expect(handle.stats()).toMatchObject({ acked: 40, deadLettered: 0, outages: 1 });
  });
});
