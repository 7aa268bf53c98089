import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp, type TestAppParts } from '../testing/test-app.js';
import type { PulsarConsumerHandle } from './consumer-options.js';

const SLOW_MS = 1_000;
const opened: TestApp[] = [];

async function open(parts?: TestAppParts): Promise<TestApp> {
  const app = await startApp(parts);
  opened.push(app);
  return app;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

/** What of other keys is handled while a hot key takes a second for each of its messages, and how many messages were held at most. */
async function besideAHotKey(
  options: { readonly maxHeldBack?: number; readonly type?: 'Shared' | 'Key_Shared' },
  hot: number,
  others: number,
  forMs: number,
) {
  const { clock, consumers, publisher } = await open();
  const handled: string[] = [];
  let most = 0;
  const handle: PulsarConsumerHandle = await consumers.register(
    { topic: 't', subscription: 's', concurrency: 4, prefetch: 4, ...options },
    async (text: string, { key }) => {
      most = Math.max(most, handle.stats().inFlight);
      if (key === 'hot') {
        await clock.sleep(SLOW_MS);
      }
      handled.push(text);
    },
  );
  await publisher.publishMany(
    't',
    Array.from({ length: hot }, (_, n) => ({ data: `hot ${n}`, options: { key: 'hot' } })),
  );
  await publisher.publishMany(
    't',
    Array.from({ length: others }, (_, n) => ({ data: `other ${n}`, options: { key: `key ${n % 3}` } })),
  );
  await clock.advance(forMs);
  return {
    most,
    hot: handled.filter((text) => text.startsWith('hot')),
    others: handled.filter((text) => text.startsWith('other')).length,
  };
}

describe('a key whose handler is slow', () => {
  it.each(['Shared', 'Key_Shared'] as const)('lets other keys pass by and keeps its own order, on %s', async (type) => {
    const seen = await besideAHotKey({ type }, 60, 20, SLOW_MS / 2);
    expect(seen).toMatchObject({ hot: [], others: 20 });
    expect(await besideAHotKey({ type }, 5, 0, 10 * SLOW_MS)).toMatchObject({
      hot: ['hot 0', 'hot 1', 'hot 2', 'hot 3', 'hot 4'],
    });
  });

  it('holds up the others where each message takes a place', async () => {
    expect(await besideAHotKey({ maxHeldBack: 0 }, 60, 20, SLOW_MS / 2)).toMatchObject({ most: 8, others: 0 });
  });

  it('is held back within a bound; the others come as soon as what is before them fits', async () => {
    // 8 places and 64 that are held back: of 80 hot ones 8 have to be done before the others are there.
    const early = await besideAHotKey({}, 80, 20, 6.5 * SLOW_MS);
    expect(early.others).toBe(0);
    const later = await besideAHotKey({}, 80, 20, 14.5 * SLOW_MS);
    expect(later.others).toBe(20);
    expect(Math.max(early.most, later.most)).toBeLessThanOrEqual(8 + 64);
  });

  it('takes no more than the places while every handler has work', async () => {
    const { clock, consumers, publisher } = await open();
    const handle = await consumers.register({ topic: 't', subscription: 's', concurrency: 2, prefetch: 2 }, () =>
      clock.sleep(SLOW_MS),
    );
    // Two keys are slow: no handler is free, and nobody else could pass by.
    for (let n = 0; n < 40; n++) {
      await publisher.publish('t', n, { key: `k${n % 2}` });
    }
    await clock.advance(SLOW_MS / 2);
    expect(handle.stats().inFlight).toBe(4);
  });

  it('cannot be passed by where the order is that of the topic: asking for it fails the registration', async () => {
    const { consumers } = await open();
    const register = (maxHeldBack: number) =>
      consumers.register({ topic: 't', subscription: 's', type: 'Failover', maxHeldBack }, () => undefined);
    await expect(register(5)).rejects.toThrow(
      '"maxHeldBack": nothing passes by on a subscription of type Failover, whose order is that of the whole topic',
    );
    await expect(register(-1)).rejects.toThrow('expected at least 0 (messages)');
    await expect(register(0)).resolves.toMatchObject({ type: 'Failover' });
  });
});

describe('messages that wait for their next attempt', () => {
  it('take no place from others, also where one is handled at a time', async () => {
    const { clock, consumers, publisher } = await open();
    const handled: unknown[] = [];
    await consumers.register(
      { topic: 't', subscription: 's', backoff: { initialMs: 60_000, jitter: 'none' } },
      async (n: number) => {
        if (n < 10) {
          throw new Error('It waits a minute.');
        }
        handled.push(n);
      },
    );
    for (let n = 0; n < 14; n++) {
      await publisher.publish('t', n, { key: `k${n}` });
    }
    await clock.advance(1_000);
    expect(handled).toEqual([10, 11, 12, 13]);
  });

  it('nor from batches', async () => {
    const { clock, consumers, publisher } = await open();
    const handled: number[] = [];
    await consumers.register(
      {
        topic: 't',
        subscription: 's',
        batch: { maxMessages: 2, maxWaitMs: 10 },
        prefetch: 0,
        backoff: { initialMs: 60_000, jitter: 'none' },
      },
      async (numbers: number[]) => {
        if (numbers.some((n) => n < 10)) {
          throw new Error('They wait a minute.');
        }
        handled.push(...numbers);
      },
    );
    for (let n = 0; n < 14; n++) {
      await publisher.publish('t', n, { key: `k${n}` });
    }
    await clock.advance(1_000);
    expect(handled).toEqual([10, 11, 12, 13]);
  });
});

describe('a message whose acknowledgement is on its way', () => {
  it('holds its key and no handler: others are handled meanwhile, its own key waits', async () => {
    const { clock, consumers, publisher, transport } = await open();
    transport.plan = ({ point }) => (point === 'ack' ? clock.sleep(SLOW_MS).then(() => undefined) : undefined);
    const handled: string[] = [];
    const handle = await consumers.register(
      { topic: 't', subscription: 's', maxHeldBack: 4 },
      async (text: string) => void handled.push(text),
    );
    for (const text of ['a1', 'a2', 'b1', 'c1', 'd1']) {
      await publisher.publish('t', text, { key: text.slice(0, 1) });
    }
    await clock.advance(SLOW_MS / 2);
    expect(handled).toEqual(['a1', 'b1', 'c1', 'd1']);
    expect(handle.stats()).toMatchObject({ acked: 0, inFlight: 5 });
    await clock.advance(SLOW_MS);
    expect(handled).toEqual(['a1', 'b1', 'c1', 'd1', 'a2']);
    expect(handle.stats().acked).toBe(4);
  });
});

it('whatever keys and times: each key in its order, and never more held than places and what may be held back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.nat(4), ms: fc.constantFrom(0, 0, 10, 500) }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 3 }),
      fc.nat(12),
      async (messages, concurrency, prefetch, maxHeldBack) => {
        const app = await startApp();
        const { clock, consumers, publisher } = app;
        const seen: number[] = [];
        let most = 0;
        const handle = await consumers.register(
          { topic: 't', subscription: 's', concurrency, prefetch, maxHeldBack },
          async (n: number) => {
            most = Math.max(most, handle.stats().inFlight);
            await clock.sleep(messages[n]?.ms ?? 0);
            seen.push(n);
          },
        );
        await publisher.publishMany(
          't',
          messages.map(({ key }, n) => ({ data: n, options: { key: `k${key}` } })),
        );
        await clock.advance(60_000);
        await app.close();
        expect(most).toBeLessThanOrEqual(concurrency + prefetch + maxHeldBack);
        for (let key = 0; key <= 4; key++) {
          const mine = seen.filter((n) => messages[n]?.key === key);
          expect(mine).toEqual(mine.toSorted((one, other) => one - other));
        }
        expect(seen).toHaveLength(messages.length);
      },
    ),
    { numRuns: 40 },
  );
});
