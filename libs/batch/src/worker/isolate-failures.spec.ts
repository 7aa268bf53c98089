import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type HeldWorkerSettings } from '../testing/held-worker.js';
import { AutoBatchWorker } from './auto-batch-worker.js';
import { type AutoBatchWorkerOptions } from './auto-batch-worker.options.js';
import { type BatchOutcome } from './batch-outcome.js';
import { isolateFailures } from './isolate-failures.js';

function echoWorker(
  handler: AutoBatchWorkerOptions<string, string>['handler'],
  settings: HeldWorkerSettings<string> = {},
) {
  const clock = new VirtualClock();
  const worker = new AutoBatchWorker<string, string>({ name: 'test', handler, ...settings }, { clock });
  return { clock, worker };
}

const fulfilled = (value: string): BatchOutcome<string> => ({ status: 'fulfilled', value });

describe('AutoBatchWorker: isolateFailures', () => {
  const poisonous = (poison: readonly string[], seen: string[][]) => (items: readonly string[]) => {
    seen.push([...items]);
    if (items.some((item) => poison.includes(item))) {
      throw new Error(`poison among ${items.length}`);
    }
    return items.map(fulfilled);
  };

  it('rejects exactly the items that make the handler throw', async () => {
    const seen: string[][] = [];
    const { worker } = echoWorker(poisonous(['c', 'g'], seen), { isolateFailures: true });
    const settled = await Promise.allSettled('abcdefgh'.split('').map((item) => worker.submit(item)));
    expect(settled.map(({ status }) => status === 'rejected')).toEqual(
      'abcdefgh'.split('').map((item) => 'cg'.includes(item)),
    );
    expect(settled[2]).toMatchObject({ reason: { message: 'poison among 1' } });
    expect(seen.length).toBeLessThanOrEqual(17);
  });

  it('isolates among more items than a call may have arguments', async () => {
    const poison = 299_999;
    const { outcomes } = await isolateFailures<number, number>(
      Array.from({ length: poison + 1 }, (_, item) => item),
      new Error('all'),
      async (items) =>
        items.includes(poison)
          ? { status: 'failed', error: new Error('poison'), isolable: true }
          : { status: 'itemised', outcomes: items.map((value) => ({ status: 'fulfilled', value })) },
      new AbortController().signal,
    );
    expect(outcomes.findIndex(({ status }) => status === 'rejected')).toBe(poison);
    expect(outcomes[1]).toEqual({ status: 'fulfilled', value: 1 });
  });

  it('hands the items on in their order and counts the attempts', async () => {
    const order: string[] = [];
    const attempts: number[] = [];
    const { worker } = echoWorker(
      (items, { attempt }) => {
        attempts.push(attempt);
        if (items.includes('b')) {
          throw new Error('poison');
        }
        order.push(...items);
        return items.map(fulfilled);
      },
      { isolateFailures: true },
    );
    await Promise.allSettled('abcd'.split('').map((item) => worker.submit(item)));
    expect(order).toEqual(['a', 'c', 'd']);
    expect(attempts).toEqual([1, 2, 3, 3, 2]);
  });

  it('gives up after 4·log2(n) + 4 calls when everything is poison', async () => {
    const seen: string[][] = [];
    const items = Array.from({ length: 64 }, (_, index) => `${index}`);
    const { worker } = echoWorker(poisonous(items, seen), { isolateFailures: true });
    const settled = await Promise.allSettled(items.map((item) => worker.submit(item)));
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
    expect(seen).toHaveLength(1 + 28);
  });

  it('does not halve a batch whose handler broke its contract', async () => {
    let calls = 0;
    const { worker } = echoWorker(
      () => {
        calls++;
        return [];
      },
      { isolateFailures: true },
    );
    await Promise.allSettled([worker.submit('a'), worker.submit('b')]);
    expect(calls).toBe(1);
  });
});
