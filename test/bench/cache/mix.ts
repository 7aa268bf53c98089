// Replicas that read and commit at once, each a thread with connections of its own, in one process: the oracle is memory that they share.
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Settings } from './job.ts';

/** What happens, and how much of it. */
export interface Mix {
  readonly replicas: number;
  readonly keys: number;
  readonly seconds: number;
  /** Of a thousand operations. */
  readonly writesPerMille: number;
  readonly callersPerReplica: number;
  readonly loadMs: number;
  /** Of the distribution of keys. */
  readonly theta: number;
}

/** What came of it. */
export interface Mixed {
  readonly readsPerSecond: number;
  readonly hitPercent: number;
  /** Reads that showed an older row than this replica had shown before they began. */
  readonly regressions: number;
  /** Reads that showed an older row than the latest when they began. */
  readonly behind: number;
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Reads that showed less than a commit that this replica had told the cache of before they began. */
  readonly ownCommitMissed: number;
  readonly boundMs: number;
  /** Reads that were behind for longer than that. */
  readonly beyondBound: number;
  /** Keys that are not the latest on some replica, a while after the last commit. */
  readonly wrongAtRest: number;
}

interface Part {
  readonly reads: number;
  readonly loads: number;
  readonly regressions: number;
  readonly ownCommitMissed: number;
  readonly lagsMs: readonly number[];
  readonly wrongAtRest: number;
}

interface Task {
  readonly name: string;
  readonly settings: Settings;
  readonly mix: Mix;
  readonly replica: number;
  readonly memory: SharedArrayBuffer;
}

/** Three heartbeats: a line that has been silent for so long is distrusted. */
const BOUND_MS = 15_000;
const REST_MS = 1_000;
/** Commits of one key whose time is remembered: more than a hot key sees while one read takes. */
const REMEMBERED = 256;

export const ZIPF_SUBJECTS = ['ours', 'BentoCache', 'cacheable'] as const;

/** The row of each key as a number that grows, one counter for all of them, and when each of a key's last commits was made. */
class Oracle {
  readonly #counter: BigInt64Array;
  readonly #rows: BigInt64Array;
  readonly #history: BigInt64Array;

  constructor(memory: SharedArrayBuffer, keys: number) {
    this.#counter = new BigInt64Array(memory, 0, 1);
    this.#rows = new BigInt64Array(memory, 8, keys);
    this.#history = new BigInt64Array(memory, 8 + keys * 8, keys * REMEMBERED * 2);
  }

  static bytes(keys: number): number {
    return 8 + keys * 8 + keys * REMEMBERED * 16;
  }

  get version(): bigint {
    return Atomics.load(this.#counter, 0);
  }

  row(key: number): bigint {
    return Atomics.load(this.#rows, key);
  }

  /** One commit at a time is made of a key; the time is written before the row is seen. */
  commit(key: number): bigint {
    // Counter and row become visible together, as a transaction's do: who reads the counter first and the row then finds at least that commit.
    const next = Atomics.add(this.#counter, 0, 0n) + 1n;
    const before = this.row(key);
    const slot = (key * REMEMBERED + Number(before % BigInt(REMEMBERED))) * 2;
    Atomics.store(this.#history, slot, before);
    Atomics.store(this.#history, slot + 1, process.hrtime.bigint());
    Atomics.add(this.#rows, key, 1n);
    Atomics.add(this.#counter, 0, 1n);
    return next;
  }

  /** For how long a row had not been the latest at that time; `undefined`: it was, or it is too long ago to be known. */
  behindMs(key: number, row: bigint, atNs: bigint): number | undefined {
    const slot = (key * REMEMBERED + Number(row % BigInt(REMEMBERED))) * 2;
    if (row >= this.row(key)) {
      return undefined;
    }
    if (Atomics.load(this.#history, slot) !== row) {
      return BOUND_MS + 1;
    }
    const behindNs = atNs - Atomics.load(this.#history, slot + 1);
    return behindNs > 0n ? Number(behindNs) / 1e6 : undefined;
  }
}

/** Ranks by the law of Zipf, spread over the keys. */
function zipf(keys: number, theta: number): () => number {
  const sums = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) {
    sum += 1 / (rank + 1) ** theta;
    sums[rank] = sum;
  }
  return () => {
    const wanted = Math.random() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
}

/** What a replica is asked here; rows are numbers. */
interface MixSubject {
  /** `stale`: the cache says itself that nothing confirms the answer. */
  read(key: string, load: () => Promise<number>): Promise<{ readonly row: number; readonly stale: boolean }>;
  committed(key: string): Promise<unknown>;
  close(): Promise<void>;
}

async function open(name: string, settings: Settings, version: () => bigint): Promise<MixSubject> {
  switch (name) {
    case 'ours': {
      const { openMix } = await import('./mix-ours.ts');
      return openMix(settings, version);
    }
    case 'cacheable': {
      const { openMix } = await import('./mix-peers.ts');
      return openMix.cacheable(settings);
    }
    default: {
      const { openMix } = await import('./mix-peers.ts');
      return openMix.bento(settings);
    }
  }
}

/** One replica. */
async function replica({ name, settings, mix, replica: number, memory }: Task): Promise<Part> {
  const oracle = new Oracle(memory, mix.keys);
  const cache = await open(name, settings, () => oracle.version);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage('ready');
  await new Promise((resolve) => parentPort?.once('message', resolve));
  const next = zipf(mix.keys, mix.theta);
  const shown = new Float64Array(mix.keys).fill(-1);
  const committed = new Float64Array(mix.keys).fill(-1);
  const counts = { reads: 0, loads: 0, regressions: 0, ownCommitMissed: 0, wrongAtRest: 0 };
  const lagsMs: number[] = [];
  const load = (key: number) => async (): Promise<number> => {
    counts.loads++;
    const row = Number(oracle.row(key));
    await new Promise((resolve) => setTimeout(resolve, mix.loadMs));
    return row;
  };
  const read = async (key: number): Promise<number> => {
    const began = process.hrtime.bigint();
    const [shownBefore = -1, committedBefore = -1] = [shown[key], committed[key]];
    const { row, stale } = await cache.read(`row-${key}`, load(key));
    counts.reads++;
    if (!stale) {
      counts.regressions += row < shownBefore ? 1 : 0;
      counts.ownCommitMissed += row < committedBefore ? 1 : 0;
      shown[key] = Math.max(shown[key] ?? -1, row);
    }
    const behindMs = oracle.behindMs(key, BigInt(row), began);
    if (behindMs !== undefined) {
      lagsMs.push(behindMs);
    }
    return row;
  };
  const write = async (key: number): Promise<void> => {
    oracle.commit(key);
    const row = Number(oracle.row(key));
    await cache.committed(`row-${key}`);
    committed[key] = Math.max(committed[key] ?? -1, row);
  };
  const endMs = performance.now() + mix.seconds * 1_000;
  const caller = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const key = next();
      // A key has one writer, as a row has one lock.
      if (Math.random() * 1_000 < mix.writesPerMille) {
        await write(key - (key % mix.replicas) + number < mix.keys ? key - (key % mix.replicas) + number : number);
      } else {
        await read(key);
      }
      // Answers from memory would keep the messages of others from being heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: mix.callersPerReplica }, caller));
  const { reads, loads } = counts;
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  for (let key = 0; key < mix.keys; key++) {
    counts.wrongAtRest += (await read(key)) < Number(oracle.row(key)) ? 1 : 0;
  }
  await cache.close();
  return { ...counts, reads, loads, lagsMs };
}

async function run(name: string, url: string, mix: Mix): Promise<Mixed> {
  const memory = new SharedArrayBuffer(Oracle.bytes(mix.keys));
  // The counter begins anew in each run: what another one stored is of another database.
  const settings: Settings = { url, prefix: `mix-${name.replaceAll(/[^a-z]+/gi, '-')}-${process.pid}` };
  const workers = Array.from({ length: mix.replicas }, (_, number) => {
    const task: Task = { name, settings, mix, replica: number, memory };
    return new Worker(new URL(import.meta.url), { workerData: task });
  });
  const answerOf = (worker: Worker): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await Promise.all(workers.map(answerOf));
  const answers = workers.map(answerOf);
  for (const worker of workers) {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage('go');
  }
  const parts = (await Promise.all(answers)) as readonly Part[];
  await Promise.all(workers.map((worker) => worker.terminate()));
  const sum = (of: (part: Part) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const lagsMs = parts.flatMap((part) => part.lagsMs).toSorted((a, b) => a - b);
  const lagAt = (share: number): number => Number((lagsMs[Math.floor(lagsMs.length * share)] ?? 0).toFixed(2));
  return {
    readsPerSecond: Math.round(sum(({ reads }) => reads) / mix.seconds),
    hitPercent: Number((100 * (1 - sum(({ loads }) => loads) / sum(({ reads }) => reads))).toFixed(2)),
    regressions: sum(({ regressions }) => regressions),
    behind: lagsMs.length,
    lagP50Ms: lagAt(0.5),
    lagP99Ms: lagAt(0.99),
    lagMaxMs: Number((lagsMs.at(-1) ?? 0).toFixed(2)),
    ownCommitMissed: sum(({ ownCommitMissed }) => ownCommitMissed),
    boundMs: BOUND_MS,
    beyondBound: lagsMs.filter((lagMs) => lagMs > BOUND_MS).length,
    wrongAtRest: sum(({ wrongAtRest }) => wrongAtRest),
  };
}

if (!isMainThread) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(await replica(workerData as Task));
} else if (process.argv[1] === (await import('node:url')).fileURLToPath(import.meta.url)) {
  const [name = '', url = ''] = process.argv.slice(2);
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      process.stdout.write(`${JSON.stringify(await run(name, url, JSON.parse(line) as Mix))}\n`);
    } catch (error) {
      process.stdout.write(
        `${JSON.stringify({ error: error instanceof Error ? String(error.stack) : String(error) })}\n`,
      );
    }
  }
  process.exit(0);
}
