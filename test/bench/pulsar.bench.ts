// What the module costs above the bare transport, each in a process of its own: pooled producers, registered handlers in lanes per key, metrics on.
import { mkdirSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Peer } from '../support/pulsar-peers/peer.ts';
// What the contestants import, so that it is built: from '@smartpulse/pulsar', from '@smartpulse/pulsar-wire'.
import type { Heap, Job, Latency, Settings, Taken } from './pulsar/job.ts';

// The support of the tests names its own files as they are called when they are built.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier.startsWith('.') && context.parentURL?.endsWith('.ts') ? specifier.replace(/\.js$/, '.ts') : specifier,
      context,
    ),
});
const { preparePulsar } = await import('../support/pulsar/runtime.ts');
const { PulsarStandalone } = await import('../support/pulsar/standalone.ts');
const { Peer: PeerProcess } = await import('../support/pulsar-peers/peer.ts');
const { RedisServer } = await import('./redis/redis-server.ts');

const LIMITS = {
  window: 5_000,
  // As many ahead as handlers: the default.
  concurrency: 250,
  prefetch: 250,
  keys: 1_000,
  // The default. Of batches that are larger than its permits, a broker reads many ahead for Shared and throws all but one away.
  batchMessages: 100,
  batchBytes: 131_072,
  lingerMs: 1,
};
const BYTES = 100;
/** Compilers need some seconds of a job until they know it. */
const WARM_UP_ROUNDS = 4;
const ROUNDS = 5;
/** No round begins later than this after the first. */
const BUDGET_MS = 150_000;

/** Each is compared with the bare transport of its group, which comes first. */
const GROUPS = [
  {
    name: 'in-process',
    messages: 200_000,
    subjects: [
      'in-process, bare',
      'in-process, module',
      'in-process, module, synchronous handler',
      'in-process, module, no meter provider',
    ],
  },
  {
    name: 'wire',
    messages: 200_000,
    subjects: ['wire, bare', 'wire, module', 'wire, module, no meter provider'],
  },
  {
    // What Key_Shared needs: with so many keys a frame of these runs holds little more than one message.
    name: 'wire, a batch for each key',
    messages: 30_000,
    subjects: [
      'wire, a batch for each key, bare',
      'wire, a batch for each key, module',
      'wire, a batch for each key, module, no meter provider',
    ],
  },
  { name: 'WebSocket', messages: 10_000, subjects: ['WebSocket, bare', 'WebSocket, module'] },
] as const;
/** Published and handled at the same time, because Redis keeps nothing; as an object in JSON, which is what Nest sends. */
const PEERS = {
  messages: 30_000,
  subjects: ['wire, module, JSON', 'Redis, @nestjs/microservices, JSON', 'pulsar-client, bare loop'],
};
const LATENCY = { messages: 2_000, perSecond: 1_000, rounds: 3 };
const LATENCY_SUBJECTS = [
  'in-process, bare',
  'in-process, module',
  'wire, bare',
  'wire, module',
  'Redis, @nestjs/microservices, JSON',
];
/** The runs before fill the log of the broker to its bound. */
const HEAP = { subject: 'in-process, module', messages: 100_000, warmUpRuns: 3, runs: 10 };
/** Each message awaited before the next, nothing batched, a broker that stores at once. */
const POOL = { subject: 'wire, module, unbatched', pooled: 500, unpooled: 100, rounds: 3 };
const RECORDS = 200_000;

type Contestants = ReadonlyMap<string, Peer>;

const search = await preparePulsar();
if (!search.available) {
  console.error(search.reason);
  process.exit(1);
}
const { runtime } = search;
const loadBefore = loadavg()[0];
const redis = await RedisServer.start();
const absent = new Map<string, string>();
try {
  const all = [...GROUPS.flatMap(({ subjects }) => subjects), ...PEERS.subjects];
  const { cost, peers, heap, recordUs } = await withBroker(false, all, async (contestants) => ({
    cost: await measureCost(contestants),
    peers: await measurePeers(contestants),
    heap: await measureHeap(contestants),
    recordUs: await measureRecord(contestants),
  }));
  const { latency, pool } = await withBroker(true, [...LATENCY_SUBJECTS, POOL.subject], async (contestants) => ({
    latency: await measureLatency(contestants),
    pool: await measurePool(contestants),
  }));
  report({ ...cost, peers, heap, recordUs, latency, pool });
} finally {
  await redis?.[Symbol.asyncDispose]();
}

/** Starts a broker and the contestants, and stops them in any case. */
async function withBroker<T>(
  isImmediate: boolean,
  names: readonly string[],
  work: (contestants: Contestants) => Promise<T>,
): Promise<T> {
  const broker = await PulsarStandalone.start(runtime, {
    optimised: true,
    memoryMiB: 1_024,
    immediate: isImmediate,
    // What every subscription so far has acknowledged may be deleted, and the next round would wait for it in vain.
    properties: { defaultRetentionTimeInMinutes: '60', defaultRetentionSizeInMB: '-1' },
  });
  const settings: Settings = {
    ...LIMITS,
    serviceUrl: broker.serviceUrl,
    webSocketUrl: broker.webSocketUrl,
    redisPort: redis?.port ?? 0,
  };
  const started = names.map((name) => ({
    name,
    peer: PeerProcess.start({
      name,
      command: process.execPath,
      args: [
        ...process.execArgv,
        '--expose-gc',
        fileURLToPath(new URL('./pulsar/contestant.ts', import.meta.url)),
        name,
        JSON.stringify(settings),
      ],
    }),
  }));
  try {
    const contestants = new Map<string, Peer>();
    for (const { name, peer } of started) {
      const { notHere } = await ask<{ readonly notHere?: string }>(peer, { kind: 'open' });
      if (notHere === undefined) {
        contestants.set(name, peer);
      } else {
        absent.set(name, notHere);
      }
    }
    return await work(contestants);
  } finally {
    await Promise.all(started.map(({ peer }) => peer.close()));
    await broker.stop();
  }
}

function ask<T>(peer: Peer, job: Job): Promise<T> {
  return peer.ask<T>(job, 60_000);
}

async function measureCost(contestants: Contestants) {
  const figures = new Map<string, { readonly publish: Taken[]; readonly consume: Taken[] }>();
  for (const { subjects, messages } of GROUPS) {
    // All read the same topics of one broker, written once; each in-process broker is the contestant's own.
    const writers = subjects.filter((name) => name.startsWith('in-process') || /^wire,.* bare$/.test(name));
    for (const name of writers.length > 0 ? writers : ['wire, bare']) {
      await askOf(contestants, name, { kind: 'fill', topic: topicOf(`read-${messages}`), messages, bytes: BYTES });
    }
    subjects.forEach((name) => figures.set(name, { publish: [], consume: [] }));
  }
  const startedMs = performance.now();
  let rounds = 0;
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS && performance.now() - startedMs < BUDGET_MS; round++) {
    for (const { subjects, messages } of GROUPS) {
      for (const kind of ['publish', 'consume'] as const) {
        for (const name of subjects) {
          const topic = topicOf(kind === 'publish' ? `written-${name}` : `read-${messages}`);
          const subscription = slug(`${name}-${round + WARM_UP_ROUNDS}`);
          const { ms, cpuMs } = await askOf<Taken>(contestants, name, {
            kind,
            topic,
            subscription,
            messages,
            bytes: BYTES,
          });
          if (round >= 0) {
            figures.get(name)?.[kind].push({ ms: ms / messages, cpuMs: cpuMs / messages });
          }
        }
      }
    }
    rounds = Math.max(0, round + 1);
  }
  return { rounds, figures };
}

async function measurePeers(contestants: Contestants) {
  const { messages, subjects } = PEERS;
  const results = new Map<string, Taken[]>();
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of subjects.filter((one) => contestants.has(one))) {
      const topic = topicOf(`peers-${name}-${round + 1}`);
      const job = { kind: 'both', topic, subscription: 's', messages, bytes: BYTES } as const;
      const { ms, cpuMs } = await askOf<Taken>(contestants, name, job);
      if (round >= 0) {
        results.set(name, [...(results.get(name) ?? []), { ms: ms / messages, cpuMs: cpuMs / messages }]);
      }
    }
  }
  return results;
}

async function measureHeap(contestants: Contestants) {
  const points: [number, number][] = [];
  for (let run = 1 - HEAP.warmUpRuns; run <= HEAP.runs; run++) {
    await askOf(contestants, HEAP.subject, {
      kind: 'both',
      topic: topicOf('heap'),
      subscription: 'heap',
      messages: HEAP.messages,
      bytes: BYTES,
    });
    if (run > 0) {
      const { heapBytes } = await askOf<Heap>(contestants, HEAP.subject, { kind: 'heap' });
      points.push([run * HEAP.messages, heapBytes]);
    }
  }
  return points;
}

async function measureRecord(contestants: Contestants): Promise<number> {
  const figures: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const { cpuMs } = await askOf<Taken>(contestants, HEAP.subject, { kind: 'record', messages: RECORDS });
    figures.push((cpuMs * 1_000) / RECORDS);
  }
  return spread(figures.slice(1)).median;
}

async function measureLatency(contestants: Contestants) {
  const results = new Map<string, Latency[]>();
  const { messages, perSecond, rounds } = LATENCY;
  for (let round = -1; round < rounds; round++) {
    for (const name of LATENCY_SUBJECTS.filter((one) => contestants.has(one))) {
      const topic = topicOf(`latency-${name}-${round + 1}`);
      const job = { kind: 'latency', topic, subscription: 's', messages, bytes: BYTES, perSecond } as const;
      const figures = await askOf<Latency>(contestants, name, job);
      if (round >= 0) {
        results.set(name, [...(results.get(name) ?? []), figures]);
      }
    }
  }
  return results;
}

async function measurePool(contestants: Contestants) {
  const results = { pooled: [] as Taken[], unpooled: [] as Taken[] };
  for (let round = -1; round < POOL.rounds; round++) {
    for (const kind of ['pooled', 'unpooled'] as const) {
      const messages = POOL[kind];
      const job = { kind, topic: topicOf(`pool-${kind}`), messages, bytes: BYTES };
      const { ms, cpuMs } = await askOf<Taken>(contestants, POOL.subject, job);
      if (round >= 0) {
        results[kind].push({ ms: ms / messages, cpuMs: cpuMs / messages });
      }
    }
  }
  return results;
}

async function askOf<T>(contestants: Contestants, name: string, job: Job): Promise<T> {
  const peer = contestants.get(name);
  if (peer === undefined) {
    throw new Error(`${name} does not take part: ${absent.get(name)}`);
  }
  return ask<T>(peer, job);
}

function report(measured: {
  readonly rounds: number;
  readonly figures: ReadonlyMap<string, { readonly publish: Taken[]; readonly consume: Taken[] }>;
  readonly peers: ReadonlyMap<string, Taken[]>;
  readonly heap: readonly (readonly [number, number])[];
  readonly recordUs: number;
  readonly latency: ReadonlyMap<string, Latency[]>;
  readonly pool: { readonly pooled: Taken[]; readonly unpooled: Taken[] };
}): void {
  const { rounds, figures, recordUs } = measured;
  const cost = (['publish', 'consume'] as const).map((kind) => ({
    title: kind,
    rows: GROUPS.flatMap(({ subjects }) => {
      const bare = summary(subjects[0], figures.get(subjects[0])?.[kind] ?? []);
      return subjects.map((name) => {
        const row = summary(name, figures.get(name)?.[kind] ?? []);
        return {
          ...row,
          addedCpuUs: rounded(row.cpuUs - bare.cpuUs),
          shareOfBare: rounded(row.medianPerSecond / bare.medianPerSecond),
        };
      });
    }),
  }));
  const peers = [...measured.peers].map(([name, taken]) => summary(name, taken));
  const ours = peers[0]?.medianPerSecond ?? Number.NaN;
  const heap = {
    bytesPerMessage: rounded(slope(measured.heap)),
    lastMiB: rounded((measured.heap.at(-1)?.[1] ?? Number.NaN) / 1_048_576),
    messages: HEAP.runs * HEAP.messages,
  };
  const latency = [...measured.latency].map(([name, all]) => {
    const p99 = spread(all.map(({ p99Ms }) => p99Ms));
    return {
      name,
      p50Ms: rounded(spread(all.map(({ p50Ms }) => p50Ms)).median),
      p99Ms: rounded(p99.median),
      p99Spread: [rounded(p99.min), rounded(p99.max)],
    };
  });
  const pool = [summary('pooled producer', measured.pool.pooled), summary('one for each', measured.pool.unpooled)];

  const { window, concurrency, prefetch, keys, batchMessages, batchBytes, lingerMs } = LIMITS;
  console.log(
    `\npulsar: ${BYTES} B by the bytes codec; batches of ${batchMessages} messages, ${batchBytes} bytes or ${lingerMs} ms, ${window} sends at once, ` +
      `${concurrency} handlers at once and ${prefetch} messages ahead, ${keys} keys, in batches of mixed keys unless told otherwise, Shared, each message acknowledged. ${rounds} rounds in turns, ${WARM_UP_ROUNDS} before to warm up. ` +
      `Load of the machine: ${loadBefore?.toFixed(1)} before, ${loadavg()[0]?.toFixed(1)} after, on ${availableParallelism()} processors, which the broker shares.`,
  );
  for (const { title, rows } of cost) {
    console.log(`\n${title}`);
    table(rows, (row) => ({
      'CPU µs per message': row.cpuUs,
      'fewest to most': row.cpuUsSpread.join(' to '),
      'CPU µs added': row.addedCpuUs,
      'median msg/s': row.medianPerSecond,
      'of the bare msg/s': row.shareOfBare,
    }));
  }
  console.log(
    `\nOf these the OpenTelemetry SDK takes ${rounded(recordUs)} µs for each duration that it records: one a publish, one a handled message.`,
  );
  console.log(`\nPublished and handled at the same time, in one process; Redis keeps and acknowledges nothing`);
  table(peers, (row) => ({
    'median msg/s': row.medianPerSecond,
    'slowest to fastest': `${row.slowestPerSecond} to ${row.fastestPerSecond}`,
    'CPU µs per message': row.cpuUs,
    'ours is faster by': `${rounded(ours / row.medianPerSecond).toFixed(2)} x`,
  }));
  console.log(
    `\nPublish to handler at ${LATENCY.perSecond} msg/s, batches linger ${lingerMs} ms, on a broker that stores and delivers at once`,
  );
  table(latency, (row) => ({
    'p50 ms': row.p50Ms,
    'p99 ms': row.p99Ms,
    'p99 best to worst': row.p99Spread.join(' to '),
  }));
  console.log(
    `\nHeap of ${HEAP.subject} over ${heap.messages} messages published and handled: ${heap.bytesPerMessage} bytes per message, ${heap.lastMiB} MiB at the end.`,
  );
  console.log(
    `\nOne message after the other, each awaited, unbatched, over wire to a broker on this machine that stores at once`,
  );
  table(pool, (row) => ({
    'ms per message': rounded(1_000 / row.medianPerSecond, 3),
    'CPU µs per message': row.cpuUs,
  }));
  absent.forEach((reason, contestant) => console.log(`Not measured: ${contestant}: ${reason}`));

  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = {
    name: 'pulsar',
    limits: LIMITS,
    bytes: BYTES,
    rounds,
    node: process.version,
    cpus: availableParallelism(),
    load: { before: loadBefore, after: loadavg()[0] },
    cost,
    sdkRecordUs: rounded(recordUs),
    peers,
    latency,
    heap,
    pool,
    absent: Object.fromEntries(absent),
  };
  writeFileSync(new URL('pulsar.json', folder), `${JSON.stringify(result, null, 2)}\n`);
}

/** @param taken by message. */
function summary(name: string, taken: readonly Taken[]) {
  const perSecond = spread(taken.map(({ ms }) => 1_000 / ms));
  const cpuUs = spread(taken.map(({ cpuMs }) => cpuMs * 1_000));
  return {
    name,
    medianPerSecond: Math.round(perSecond.median),
    slowestPerSecond: Math.round(perSecond.min),
    fastestPerSecond: Math.round(perSecond.max),
    cpuUs: rounded(cpuUs.median),
    cpuUsSpread: [rounded(cpuUs.min), rounded(cpuUs.max)],
  };
}

function table<T extends { readonly name: string }>(
  rows: readonly T[],
  columns: (row: T) => Record<string, unknown>,
): void {
  console.table(Object.fromEntries(rows.map((row) => [row.name, columns(row)])));
}

function spread(values: readonly number[]): { readonly min: number; readonly median: number; readonly max: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted.at(index) ?? Number.NaN;
  return { min: at(0), median: at(Math.floor(sorted.length / 2)), max: at(-1) };
}

/** Least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

function topicOf(text: string): string {
  return `persistent://public/default/${slug(text)}`;
}
