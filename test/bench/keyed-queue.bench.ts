// Order per key: our queue (one global limit, bounded, keys freed at once) against one queue of a peer per key (neither limit nor bound).
import { AutoConcurrentPartitionedQueue } from '@smartpulse/batch';
import { SystemClock } from '@smartpulse/resilience';
import fastq from 'fastq';
import PQueue from 'p-queue';
import { measure } from './measure.ts';

const TASKS = 200_000;
const KEYS = 1_000;

interface Task {
  readonly key: number;
  readonly sequence: number;
}

/** The work of all cases: a tiny asynchronous task that sees to the order of its key. */
function orderCheckingWork() {
  const next = Array.from({ length: KEYS }, () => 0);
  let done = 0;
  return {
    handle: async ({ key, sequence }: Task): Promise<void> => {
      if (next[key] !== sequence) {
        throw new Error(`Key ${key}: ${sequence} came instead of ${next[key]}.`);
      }
      next[key] = sequence + 1;
      await Promise.resolve();
      done++;
    },
    check: (): void => {
      if (done !== TASKS) {
        throw new Error(`${done} of ${TASKS} tasks were done.`);
      }
    },
  };
}

function* tasks(): Generator<Task> {
  for (let index = 0; index < TASKS; index++) {
    yield { key: index % KEYS, sequence: Math.floor(index / KEYS) };
  }
}

async function withOurs(concurrency: number): Promise<void> {
  const work = orderCheckingWork();
  const queue = new AutoConcurrentPartitionedQueue<number, Task>(
    {
      name: 'bench',
      concurrency,
      handler: (task) => work.handle(task),
      onError: (error) => {
        throw error;
      },
    },
    { clock: new SystemClock() },
  );
  for (const task of tasks()) {
    if (!queue.tryEnqueue(task.key, task)) {
      await queue.enqueue(task.key, task);
    }
  }
  await queue.drain({ timeoutMs: 60_000 });
  work.check();
}

/** Ours with what the peers give in any case: a promise for each task. */
async function withOursAndPromises(concurrency: number): Promise<void> {
  const work = orderCheckingWork();
  const queue = new AutoConcurrentPartitionedQueue<number, { readonly task: Task; readonly resolve: () => void }>(
    {
      name: 'bench',
      concurrency,
      handler: async ({ task, resolve }) => {
        await work.handle(task);
        resolve();
      },
      onError: (error) => {
        throw error;
      },
    },
    { clock: new SystemClock() },
  );
  const results: Promise<void>[] = [];
  for (const task of tasks()) {
    let room: Promise<void> | undefined;
    results.push(
      new Promise<void>((resolve) => {
        if (!queue.tryEnqueue(task.key, { task, resolve })) {
          room = queue.enqueue(task.key, { task, resolve });
        }
      }),
    );
    if (room !== undefined) {
      await room;
    }
  }
  await Promise.all(results);
  work.check();
}

/** A peer per key, each with concurrency 1, in a map: what its users write. */
async function withPeer<TQueue>(
  create: (handle: (task: Task) => Promise<void>) => TQueue,
  push: (queue: TQueue, task: Task, handle: (task: Task) => Promise<void>) => Promise<unknown>,
): Promise<void> {
  const work = orderCheckingWork();
  const queues = new Map<number, TQueue>();
  const results: Promise<unknown>[] = [];
  for (const task of tasks()) {
    let queue = queues.get(task.key);
    if (queue === undefined) {
      queue = create(work.handle);
      queues.set(task.key, queue);
    }
    results.push(push(queue, task, work.handle));
  }
  await Promise.all(results);
  work.check();
}

await measure({
  name: 'keyed-queue',
  work: `${TASKS} tiny asynchronous tasks of ${KEYS} keys, in the order of each key`,
  units: TASKS,
  unit: 'tasks',
  cases: [
    { name: 'AutoConcurrentPartitionedQueue, 16 at once, 10 000 held', run: () => withOurs(16) },
    { name: 'AutoConcurrentPartitionedQueue, 64 at once, 10 000 held', run: () => withOurs(64) },
    {
      name: 'AutoConcurrentPartitionedQueue, 64 at once, 10 000 held, a promise per task',
      run: () => withOursAndPromises(64),
    },
    {
      name: 'fastq.promise per key, no limit, no bound',
      run: () =>
        withPeer(
          (handle) => fastq.promise<unknown, Task, void>(handle, 1),
          (queue, task) => queue.push(task),
        ),
    },
    {
      name: 'p-queue per key, no limit, no bound',
      run: () =>
        withPeer(
          () => new PQueue({ concurrency: 1 }),
          (queue, task, handle) => queue.add(() => handle(task)),
        ),
    },
    {
      name: 'promise chain per key, no limit, no bound, keys stay for ever',
      run: () =>
        withPeer(
          () => ({ tail: Promise.resolve() }),
          (chain, task, handle) => {
            chain.tail = chain.tail.then(() => handle(task));
            return chain.tail;
          },
        ),
    },
  ],
});
