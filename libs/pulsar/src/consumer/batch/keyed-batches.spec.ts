import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { KeyedBatches, type KeyedBatchesOptions } from './keyed-batches.js';

interface Item {
  readonly key: string;
  readonly n: number;
  readonly bytes: number;
}

function batches(clock: VirtualClock, options: Partial<KeyedBatchesOptions<Item>>): KeyedBatches<Item> {
  return new KeyedBatches<Item>({
    name: 'test',
    clock,
    concurrency: 1,
    maxMessages: 100,
    maxBytes: 1_000,
    maxWaitMs: 100,
    bytesOf: ({ bytes }) => bytes,
    runsAlone: () => false,
    run: (items) => Promise.resolve(items.map(() => undefined)),
    onError: (error) => {
      throw error;
    },
    onHungry: () => undefined,
    ...options,
  });
}

describe('KeyedBatches', () => {
  it('closes a batch at a fixed time from its first item, however steadily others come', async () => {
    const clock = new VirtualClock();
    const began: [number, number][] = [];
    const gathered = batches(clock, {
      run: (items) => {
        began.push([clock.monotonic(), items.length]);
        return Promise.resolve(items.map(() => undefined));
      },
    });
    for (let n = 0; n < 10; n++) {
      gathered.tryEnqueue(`k${n}`, { key: `k${n}`, n, bytes: 1 });
      await clock.advance(30);
    }
    await clock.advance(100);
    // Items came at 0, 30, … 270: the first batch holds what came until 100, the second begins with 120.
    expect(began).toEqual([
      [100, 4],
      [220, 4],
      [340, 2],
    ]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes a batch at once when it has its number of items or of bytes; an item above all bytes goes alone', async () => {
    const clock = new VirtualClock();
    const began: number[][] = [];
    const gathered = batches(clock, {
      maxMessages: 3,
      maxBytes: 100,
      run: (items) => {
        began.push(items.map(({ n }) => n));
        return Promise.resolve(items.map(() => undefined));
      },
    });
    const sizes = [1, 1, 1, 60, 60, 500, 1];
    sizes.forEach((bytes, n) => gathered.tryEnqueue('k', { key: 'k', n, bytes }));
    await clock.settle();
    expect(began).toEqual([[0, 1, 2], [3], [4], [5]]);
    await clock.advance(100);
    expect(began.at(-1)).toEqual([6]);
  });

  it('leaves what waits when it drains, and ends with the batch that runs or when the time is used up', async () => {
    const clock = new VirtualClock();
    let finish = (): void => undefined;
    let aborted = false;
    const gathered = batches(clock, {
      maxWaitMs: 0,
      run: (items, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => (aborted = true));
          finish = () => resolve(items.map(() => ({ retryAfterMs: 5 })));
        }),
    });
    gathered.tryEnqueue('a', { key: 'a', n: 0, bytes: 1 });
    await clock.settle();
    gathered.tryEnqueue('a', { key: 'a', n: 1, bytes: 1 });
    gathered.tryEnqueue('b', { key: 'b', n: 2, bytes: 1 });
    let report: { readonly interrupted: number } | undefined;
    void gathered.drain({ timeoutMs: 1_000 }).then((done) => (report = done));
    expect(gathered.tryEnqueue('c', { key: 'c', n: 3, bytes: 1 })).toBe(false);
    await clock.advance(999);
    expect(report).toBeUndefined();
    await clock.advance(1);
    expect([report, aborted]).toEqual([{ interrupted: 1 }, true]);
    finish();
    gathered.resume();
    await clock.advance(10_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'keeps keys exclusive, in order and in bounds, whatever is handled again (history %i)',
    async (seed) => {
      const clock = new VirtualClock();
      const random = new SeededRandom(seed);
      const below = (count: number): number => Math.floor(random.next() * count);
      const concurrency = 1 + below(4);
      const maxMessages = 1 + below(6);
      const inBatch = new Set<string>();
      const open = new Map<string, number[]>();
      let running = 0;
      let handled = 0;
      const gathered = batches(clock, {
        concurrency,
        maxMessages,
        maxBytes: 12,
        maxWaitMs: below(3) * 50,
        runsAlone: ({ n }) => n % 11 === 0,
        run: async (items) => {
          running++;
          expect(running).toBeLessThanOrEqual(concurrency);
          expect(items.length).toBeLessThanOrEqual(maxMessages);
          expect(items.length === 1 || items.reduce((sum, { bytes }) => sum + bytes, 0) <= 12).toBe(true);
          expect(items.length === 1 || items.every(({ n }) => n % 11 !== 0)).toBe(true);
          const keys = new Set(items.map(({ key }) => key));
          for (const key of keys) {
            expect(inBatch.has(key)).toBe(false);
            inBatch.add(key);
            // Always the first that are open of the key, in their order.
            const mine = items.filter((item) => item.key === key).map(({ n }) => n);
            expect(mine).toEqual(open.get(key)?.slice(0, mine.length));
          }
          await clock.sleep(below(3) * 40);
          const answers = items.map(() => (below(4) === 0 ? { retryAfterMs: below(3) * 60 } : undefined));
          items.forEach(({ key, n }, index) => {
            if (answers[index] === undefined) {
              handled++;
              open.set(
                key,
                (open.get(key) ?? []).filter((one) => one !== n),
              );
            }
          });
          keys.forEach((key) => inBatch.delete(key));
          running--;
          return answers;
        },
      });
      for (let n = 0; n < 120; n++) {
        const key = `k${below(5)}`;
        open.set(key, [...(open.get(key) ?? []), n]);
        expect(gathered.tryEnqueue(key, { key, n, bytes: 1 + below(6) })).toBe(true);
        if (below(4) === 0) {
          await clock.advance(below(80));
        }
        if (below(20) === 0) {
          gathered.pause();
          await clock.advance(below(200));
          gathered.resume();
        }
      }
      await clock.advance(60_000);
      expect(handled).toBe(120);
      expect([...open.values()].flat()).toEqual([]);
      await gathered.drain({ timeoutMs: 0 });
      expect(clock.pendingTimers).toBe(0);
    },
  );
});
