// The ways to a broker, each in a process of its own against one real broker: the wire client and its transport, the official clients, the WebSocket.
import { mkdirSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Peer } from '../support/pulsar-peers/peer.ts';
// What the contestants import, so that it is built: from '@smartpulse/pulsar', from '@smartpulse/pulsar-wire'.
import { type Heap, type Job, type Latency, type Settings, type Throughput } from './pulsar-transports/job.ts';
import { cpuMsOf, type Spread, ratios, rounded, shown, slope, spread, table } from './statistics.ts';
import { measureWebSocketLimit, reportWebSocketLimit } from './pulsar-transports/websocket-limit.ts';

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
const { JavaPeers } = await import('../support/pulsar-peers/java.ts');
const { Peer: PeerProcess } = await import('../support/pulsar-peers/peer.ts');

/**
 * `PULSAR_TRANSPORTS_BENCH="--case='publish 1024 B' --way='wire transport (port)' --seconds=60" npm run bench -- pulsar-transports`: rates alone, of these cases, of
 * the bare clients and these ways, for so long; nothing is kept of it.
 */
const WORDS = (process.env['PULSAR_TRANSPORTS_BENCH'] ?? '').match(/(?:'[^']*'|[^\s'])+/g) ?? [];
const { values: options } = parseArgs({
  args: WORDS.map((word) => word.replaceAll("'", '')),
  options: {
    case: { type: 'string', multiple: true, default: [] },
    way: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '150' },
  },
});
const isWhole = WORDS.length === 0;

const LIMITS = { window: 5_000, batchMessages: 1_000, batchBytes: 131_072, lingerMs: 1 };
const SIZES = [
  { bytes: 100, messages: 200_000 },
  { bytes: 1_024, messages: 100_000 },
] as const;
/** Ways that are ten times slower, so that a run takes about as long: through the broker's WebSocket service and through the official addon. */
const SLOW_WAYS = [
  { name: /^WebSocket/, messages: 6_000 },
  { name: /^native/, messages: 10_000 },
];
/** Compilers need some seconds of a job until they know it. */
const WARM_UP_ROUNDS = 4;
/** Many short ones: what else the machine does changes within seconds, and a comparison is of contestants in the same round. */
const ROUNDS = isWhole ? 24 : 500;
const LATENCY = { messages: 2_000, bytes: 100, perSecond: 1_000, warmUpRounds: 1, rounds: 3 };
/** No round begins later than this after the start of the throughput runs, so that all takes less than six minutes on a slow machine, too. */
const BUDGET_MS = Number(options.seconds) * 1_000;
/** Each run publishes and consumes: a million messages in all. */
const HEAP = { messages: 100_000, bytes: 100, runs: 5 };

const WIRE = 'wire client, bare';
const FLOOR = 'node:net, frames made before';
const NODE_WAYS = [
  WIRE,
  'wire transport (port)',
  FLOOR,
  'in-process transport (port)',
  'WebSocket transport (port)',
  'WebSocket, bare ws loop',
  'native transport (port)',
  'native pulsar-client',
];
const JAVA = 'Java client';
/** Takes part in one section only. */
const PERMITS_ONLY = 'WebSocket, permits only';
/** Neighbours in a round, so that they are compared in the same weather. */
const PAIRS = [
  [WIRE, JAVA],
  ['wire transport (port)', JAVA],
  [WIRE, FLOOR],
  [WIRE, 'native pulsar-client'],
  ['WebSocket transport (port)', 'WebSocket, bare ws loop'],
] as const;

const CASES = SIZES.flatMap(({ bytes }) => [`publish ${bytes} B`, `consume ${bytes} B`]);
const unknown = [
  ...options.case.filter((name) => !CASES.includes(name)),
  ...options.way.filter((name) => !NODE_WAYS.includes(name)),
  ...(Number(options.seconds) > 0 ? [] : [`${options.seconds} seconds`]),
];
if (unknown.length > 0) {
  console.error(`There is no "${unknown.join('", "')}". Cases: ${CASES.join(', ')}. Ways: ${NODE_WAYS.join(', ')}.`);
  process.exit(1);
}

interface Contestant {
  readonly name: string;
  readonly peer: Peer;
}

interface ThroughputCase {
  readonly title: string;
  readonly job: (contestant: string, round: number) => Job & { readonly messages: number };
}

const search = await preparePulsar();
if (!search.available) {
  console.error(search.reason);
  process.exit(1);
}
const { runtime } = search;
const absent = new Map<string, string>();
const java = await JavaPeers.compile(runtime, 'BenchPeer.java');
if (!java.available) {
  absent.set(JAVA, java.reason);
}
const loadBefore = loadavg()[0];
const { throughput, heapPoints, webSocketLimit } = await withBroker(false, async (contestants, brokerPid) => ({
  throughput: await measureThroughput(contestants, brokerPid),
  heapPoints: isWhole ? await measureHeap(contestants) : new Map(),
  webSocketLimit: isWhole
    ? await measureWebSocketLimit(contestants, topicOf('consume-100'), 100, brokerPid)
    : undefined,
}));
const latency = isWhole ? await withBroker(true, measureLatency) : new Map<string, Latency[]>();
if (java.available) {
  java.value[Symbol.dispose]();
}
report();

/** Starts a broker and all contestants, and stops them in any case. */
async function withBroker<T>(
  isImmediate: boolean,
  work: (contestants: readonly Contestant[], brokerPid: number | undefined) => Promise<T>,
): Promise<T> {
  const broker = await PulsarStandalone.start(runtime, {
    optimised: true,
    memoryMiB: 1_024,
    immediate: isImmediate,
    // What every subscription so far has acknowledged may be deleted, and the next round would wait for it in vain.
    // At these rates it would split the namespace in the middle of a round, and take the topics away to do so.
    properties: {
      defaultRetentionTimeInMinutes: '60',
      defaultRetentionSizeInMB: '-1',
      loadBalancerEnabled: 'false',
    },
  });
  const settings: Settings = { ...LIMITS, serviceUrl: broker.serviceUrl, webSocketUrl: broker.webSocketUrl };
  const started: Contestant[] = [...NODE_WAYS, PERMITS_ONLY]
    .filter((name) => !absent.has(name) && (isWhole || name === WIRE || name === FLOOR || options.way.includes(name)))
    .map((name) => ({
      name,
      peer: PeerProcess.start({
        name,
        command: process.execPath,
        args: [
          ...process.execArgv,
          '--expose-gc',
          fileURLToPath(new URL('./pulsar-transports/contestant.ts', import.meta.url)),
          name,
          JSON.stringify(settings),
        ],
      }),
    }));
  if (java.available) {
    // Beside the wire client, its nearest relative.
    const peer = java.value.start('BenchPeer', [settings.serviceUrl, JSON.stringify(settings)], 512);
    started.splice(1, 0, { name: JAVA, peer });
  }
  try {
    const contestants: Contestant[] = [];
    for (const contestant of started) {
      const { notHere } = await contestant.peer.ask<{ readonly notHere?: string }>({ kind: 'open' });
      if (notHere === undefined) {
        contestants.push(contestant);
      } else {
        absent.set(contestant.name, notHere);
      }
    }
    return await work(contestants, broker.pid);
  } finally {
    await Promise.all(started.map(({ peer }) => peer.close()));
    await broker.stop();
  }
}

/** By case; a round each, in the order of the rounds. */
type Figures = Map<string, Round[]>;

/** One run of one contestant, per message. */
interface Round {
  readonly ms: number;
  readonly cpuMs: number;
  readonly brokerMs: number;
}

async function measureThroughput(all: readonly Contestant[], brokerPid: number | undefined) {
  const contestants = all.filter(({ name }) => name !== PERMITS_ONLY);
  const results = new Map<string, Figures>(contestants.map(({ name }) => [name, new Map()]));
  const cases = SIZES.flatMap(({ bytes, messages }): ThroughputCase[] => {
    const count = (name: string): number => SLOW_WAYS.find((way) => way.name.test(name))?.messages ?? messages;
    return [
      {
        title: `publish ${bytes} B`,
        job: (name) => ({ kind: 'publish', topic: topicOf(`publish-${bytes}-${name}`), messages: count(name), bytes }),
      },
      {
        title: `consume ${bytes} B`,
        job: (name, round) => ({
          kind: 'consume',
          topic: topicOf(`consume-${bytes}`),
          subscription: slug(`${name}-${round + WARM_UP_ROUNDS}`),
          messages: count(name),
          bytes,
        }),
      },
    ];
  });
  const wanted = cases.filter(({ title }) => options.case.length === 0 || options.case.includes(title));
  await fillTopics(contestants);
  const startedMs = performance.now();
  let rounds = 0;
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS && performance.now() - startedMs < BUDGET_MS; round++) {
    for (const { title, job } of wanted) {
      for (const { name, peer } of inTurns(contestants, round + WARM_UP_ROUNDS)) {
        const turn = job(name, round);
        if (turn.kind === 'consume') {
          await readOnce(contestants, { ...turn, subscription: `before-${turn.subscription}` });
        }
        const brokerStartedMs = cpuMsOf(brokerPid);
        const { ms, cpuMs } = await peer.ask<Throughput>(turn);
        const { messages } = turn;
        const brokerMs = cpuMsOf(brokerPid) - brokerStartedMs;
        if (round >= 0) {
          const perMessage = { ms: ms / messages, cpuMs: cpuMs / messages, brokerMs: brokerMs / messages };
          const figures = results.get(name);
          figures?.set(title, [...(figures.get(title) ?? []), perMessage]);
        }
      }
    }
    rounds = Math.max(0, round + 1);
  }
  return { rounds, titles: wanted.map(({ title }) => title), results };
}

/** What stays on the heap: published and consumed messages in turns, each time collected and looked at. */
async function measureHeap(all: readonly Contestant[]) {
  const contestants = all.filter(({ name }) => name !== FLOOR && name !== PERMITS_ONLY);
  const results = new Map<string, (readonly [messages: number, bytes: number])[]>();
  for (const { name, peer } of contestants) {
    const points: (readonly [number, number])[] = [];
    const messages = SLOW_WAYS.find((way) => way.name.test(name))?.messages ?? HEAP.messages;
    for (let run = 0; run <= HEAP.runs; run++) {
      // The first one brings everything up to its size.
      await peer.ask({ kind: 'publish', topic: topicOf(`heap-${name}`), messages, bytes: HEAP.bytes });
      await peer.ask({
        kind: 'consume',
        topic: topicOf(`heap-${name}`),
        subscription: 'heap',
        messages,
        bytes: HEAP.bytes,
      });
      const { heapBytes } = await peer.ask<Heap>({ kind: 'heap' });
      points.push([2 * run * messages, heapBytes]);
    }
    results.set(name, points);
  }
  return results;
}

/**
 * Each comes after each other equally often, over as many rounds as there are contestants or twice as many (a Williams design): who comes after whom finds the
 * broker, and the neighbour's process, at work on what that one left.
 */
function inTurns(contestants: readonly Contestant[], round: number): readonly Contestant[] {
  const { length } = contestants;
  // 0, 1, last, 2, last but one, …: all distances between neighbours differ.
  const places = Array.from({ length }, (_, index) =>
    index % 2 === 1 ? (index + 1) / 2 : (length - index / 2) % length,
  );
  const order = places.flatMap((place) => contestants[(place + round) % length] ?? []);
  return Math.floor(round / length) % 2 === 0 ? order : order.toReversed();
}

/** A broker forgets within a second what it read from its disk: without this the second of two readers would read from memory, and the first not. */
async function readOnce(contestants: readonly Contestant[], job: Job): Promise<void> {
  await contestants.find(({ name }) => name === FLOOR)?.peer.ask(job);
}

/** All read the same topics, written once by the bare wire client; the in-process broker has its own. */
async function fillTopics(contestants: readonly Contestant[]): Promise<void> {
  for (const { bytes, messages } of SIZES) {
    for (const { name, peer } of contestants) {
      if (name === WIRE || name.startsWith('in-process')) {
        await peer.ask({ kind: 'publish', topic: topicOf(`consume-${bytes}`), messages, bytes });
      }
    }
  }
}

async function measureLatency(all: readonly Contestant[]) {
  const contestants = all.filter(({ name }) => name !== FLOOR && name !== PERMITS_ONLY);
  const results = new Map<string, Latency[]>(contestants.map(({ name }) => [name, []]));
  const { messages, bytes, perSecond } = LATENCY;
  for (let round = -LATENCY.warmUpRounds; round < LATENCY.rounds; round++) {
    for (const { name, peer } of contestants) {
      const topic = topicOf(`latency-${round + LATENCY.warmUpRounds}-${name}`);
      const job: Job = { kind: 'latency', topic, subscription: 's', messages, bytes, perSecond };
      const figures = await peer.ask<Latency>(job);
      if (round >= 0) {
        results.get(name)?.push(figures);
      }
    }
  }
  return results;
}

function report(): void {
  const name = 'pulsar-transports';
  const { rounds, titles, results } = throughput;
  const tables = titles.map((title) => {
    const roundsOf = (contestant: string): readonly Round[] => results.get(contestant)?.get(title) ?? [];
    const rows = [...results.keys()].map((contestant) => {
      const all = roundsOf(contestant);
      return {
        name: contestant,
        perSecond: spread(all.map(({ ms }) => 1_000 / ms)),
        cpuSecondsPerMillion: spread(all.map(({ cpuMs }) => cpuMs * 1_000)),
        brokerSecondsPerMillion: spread(all.map(({ brokerMs }) => brokerMs * 1_000)),
      };
    });
    const pairs = PAIRS.filter((pair) => pair.every((contestant) => results.has(contestant))).map(([ours, other]) => ({
      name: `${ours} : ${other}`,
      rate: ratios(
        roundsOf(ours).map(({ ms }) => 1 / ms),
        roundsOf(other).map(({ ms }) => 1 / ms),
      ),
      cpu: ratios(
        roundsOf(ours).map(({ cpuMs }) => cpuMs),
        roundsOf(other).map(({ cpuMs }) => cpuMs),
      ),
    }));
    return { title, rows, pairs };
  });
  const heap = [...heapPoints].map(([contestant, points]) => ({
    name: contestant,
    bytesPerMessage: rounded(slope(points)),
    lastMiB: rounded((points.at(-1)?.[1] ?? Number.NaN) / 1_048_576),
  }));
  const latencies = [...latency].map(([contestant, all]) => {
    const p50 = spread(all.map(({ p50Ms }) => p50Ms));
    const p99 = spread(all.map(({ p99Ms }) => p99Ms));
    return { name: contestant, p50Ms: rounded(p50.median), p99 };
  });

  const { window, batchMessages, batchBytes, lingerMs } = LIMITS;
  console.log(
    `\n${name}: batches of ${batchMessages} messages, ${batchBytes} bytes or ${lingerMs} ms, a window of ${window}; Shared, each message acknowledged. ` +
      `${rounds} rounds in turns, ${WARM_UP_ROUNDS} before to warm up. Load of the machine: ${loadBefore?.toFixed(1)} before, ` +
      `${loadavg()[0]?.toFixed(1)} after, on ${availableParallelism()} processors, which the broker shares.`,
  );
  for (const { title, rows, pairs } of tables) {
    console.log(`\n${title}: median [quartiles]`);
    table(rows, (row) => ({
      'k msg/s': shown(scaled(row.perSecond, 0.001), 0),
      'CPU s per million': shown(row.cpuSecondsPerMillion),
      'broker, CPU s per million': row.brokerSecondsPerMillion.median.toFixed(1),
    }));
    table(pairs, (pair) => ({
      'rate, in the same round': shown(pair.rate),
      'CPU, in the same round': shown(pair.cpu),
    }));
  }
  absent.forEach((reason, contestant) => console.log(`Not measured: ${contestant}: ${reason}`));
  if (webSocketLimit === undefined) {
    return;
  }
  reportWebSocketLimit(webSocketLimit);
  console.log('\nHeap after garbage collection, a million messages published and consumed');
  table(heap, (row) => ({ 'growth, bytes per message': row.bytesPerMessage, 'MiB at the end': row.lastMiB }));
  console.log(
    `\nPublish to receive at ${LATENCY.perSecond} msg/s of ${LATENCY.bytes} B, on a broker that stores and delivers at once`,
  );
  table(latencies, (row) => ({
    'p50 ms': row.p50Ms,
    'p99 ms': shown(row.p99),
  }));

  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = {
    name,
    limits: LIMITS,
    rounds,
    node: process.version,
    cpus: availableParallelism(),
    load: { before: loadBefore, after: loadavg()[0] },
    throughput: tables,
    webSocketLimit,
    heap,
    latency: latencies,
    absent: Object.fromEntries(absent),
  };
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(result, null, 2)}\n`);
}

function scaled({ lower, median, upper }: Spread, by: number): Spread {
  return { lower: lower * by, median: median * by, upper: upper * by };
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

function topicOf(text: string): string {
  return `persistent://public/default/${slug(text)}`;
}
