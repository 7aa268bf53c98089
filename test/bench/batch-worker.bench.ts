// Single calls into batches, each with its own result: our worker (bounded, one batch at a time) against dataloader (neither).
import { AutoBatchWorker } from '@smartpulse/batch';
import { SystemClock } from '@smartpulse/resilience';
import DataLoader from 'dataloader';
import { measure } from './measure.ts';

const ITEMS = 200_000;
/** How many callers wait at once: each wave starts when the one before has its results. */
const WAVE = 10_000;
const MAX_BATCH = 1_000;

async function inWaves(submit: (item: number) => Promise<number>): Promise<void> {
  for (let from = 0; from < ITEMS; from += WAVE) {
    const wave = Array.from({ length: WAVE }, (_, index) => submit(from + index));
    const results = await Promise.all(wave);
    if (results.some((result, index) => result !== from + index + 1)) {
      throw new Error('A caller got the result of another.');
    }
  }
}

await measure({
  name: 'batch-worker',
  work: `${ITEMS} calls, ${WAVE} at a time, in batches of up to ${MAX_BATCH}, each with its own result`,
  units: ITEMS,
  unit: 'items',
  cases: [
    {
      name: 'AutoBatchWorker.submit, 10 000 held',
      async run() {
        const worker = new AutoBatchWorker<number, number>(
          {
            name: 'bench',
            maxBatchItems: MAX_BATCH,
            handler: async (items) => items.map((item) => ({ status: 'fulfilled', value: item + 1 })),
          },
          { clock: new SystemClock() },
        );
        await inWaves((item) => worker.submit(item));
        await worker.drain();
      },
    },
    {
      name: 'dataloader, cache off, no bound',
      async run() {
        const loader = new DataLoader<number, number>(async (items) => items.map((item) => item + 1), {
          cache: false,
          maxBatchSize: MAX_BATCH,
        });
        await inWaves((item) => loader.load(item));
      },
    },
    {
      name: 'an array and a microtask, no bound, no failures',
      async run() {
        let pending: { readonly item: number; readonly resolve: (result: number) => void }[] = [];
        const flush = (): void => {
          const batch = pending;
          pending = [];
          batch.forEach(({ item, resolve }) => resolve(item + 1));
        };
        await inWaves(
          (item) =>
            new Promise((resolve) => {
              if (pending.push({ item, resolve }) === 1) {
                queueMicrotask(flush);
              }
            }),
        );
      },
    },
  ],
});

await measure({
  name: 'batch-worker-push',
  work: `${ITEMS * 10} items pushed, nobody waits for a result, in batches of up to ${MAX_BATCH}`,
  units: ITEMS * 10,
  unit: 'items',
  cases: [
    {
      name: 'AutoBatchWorker.tryEnqueue, 10 000 held',
      async run() {
        let handled = 0;
        const worker = new AutoBatchWorker<number>(
          {
            name: 'bench',
            maxBatchItems: MAX_BATCH,
            handler: async (items) => {
              handled += items.length;
            },
          },
          { clock: new SystemClock() },
        );
        for (let item = 0; item < ITEMS * 10; item++) {
          if (!worker.tryEnqueue(item)) {
            await worker.enqueue(item);
          }
        }
        await worker.drain();
        if (handled !== ITEMS * 10) {
          throw new Error(`${handled} items were handled.`);
        }
      },
    },
    {
      name: 'dataloader, cache off, no bound, results thrown away',
      async run() {
        let last: Promise<unknown> = Promise.resolve();
        const loader = new DataLoader<number, undefined>(async (items) => items.map(() => undefined), {
          cache: false,
          maxBatchSize: MAX_BATCH,
        });
        for (let item = 0; item < ITEMS * 10; item++) {
          last = loader.load(item);
          if (item % WAVE === WAVE - 1) {
            await last;
          }
        }
        await last;
      },
    },
  ],
});
