// The cache against its peers, the bare client and a Map: each contestant a process of its own, on one real Redis, with one object.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Peer } from '../support/pulsar-peers/peer.ts';
// What the contestants import, so that it is built: from '@smartpulse/redis-cache'.
import type { Job, Lags, Settings, Stampeded, Taken, Weight } from './cache/job.ts';
import { type Mix, type Mixed, ZIPF_SUBJECTS } from './cache/mix.ts';
import { valueOf } from './cache/subject.ts';
import { SUBJECTS } from './cache/subjects.ts';
import { ratios, rounded, type Spread, spread, shown, table } from './statistics.ts';

// The support of the tests names its own files as they are called when they are built.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier.startsWith('.') && context.parentURL?.endsWith('.ts') && context.parentURL.includes('/test/')
        ? specifier.replace(/(?<!\/dist\/.*)\.js$/, '.ts')
        : specifier,
      context,
    ),
});
const { Peer: PeerProcess } = await import('../support/pulsar-peers/peer.ts');
const { RedisServer } = await import('./redis/redis-server.ts');

const ROUNDS = 7;
/** What does more for each operation is compiled later: after one round ours still was not. */
const WARM_UP_ROUNDS = 2;
const NAMES = Object.keys(SUBJECTS);
/** Those that are slow do less in a round, or nothing else would come to its end. */
const SLOW: Readonly<Record<string, number>> = { cacheable: 10, '@nestjs/cache-manager': 10 };
const NEAR = { operations: 200_000, names: NAMES.filter((name) => name !== 'ioredis') };
const PEEK = { operations: 2_000_000, names: ['ours', 'Map'] };
const FAR = {
  inFlight: [1, 100, 1_000],
  operations: { 1: 4_000, 100: 40_000, 1_000: 40_000 } as Readonly<Record<number, number>>,
  names: ['ours', 'ours, freeze: false', 'BentoCache', 'cacheable', '@nestjs/cache-manager', 'ioredis'],
};
const WRITE = { operations: 10_000, inFlight: 100, names: FAR.names };
const STAMPEDE = {
  processes: 4,
  callers: 250,
  loadMs: 50,
  rounds: 3,
  names: ['ours', 'BentoCache', 'cacheable', '@nestjs/cache-manager'],
};
const INVALIDATION = { samples: 2_000, names: ['ours', 'ioredis'] };
const MEMORY = { entries: 5_000, names: ['ours', 'BentoCache, serialize: false', 'cacheable', 'Map'] };
const MIX: Mix = {
  replicas: 4,
  keys: 3_000,
  seconds: 6,
  writesPerMille: 50,
  callersPerReplica: 16,
  loadMs: 1,
  theta: 0.99,
};

const redis = await RedisServer.start();
if (redis === undefined) {
  console.error(
    'There is no redis-server on the path: on Debian, apt-get install -y --no-install-recommends redis-server brings it.',
  );
  process.exit(1);
}
const loadBefore = loadavg()[0];
const url = `redis://127.0.0.1:${redis.port}`;
const running: Peer[] = [];
try {
  await measureAll();
} finally {
  await Promise.all(running.map((peer) => peer.close()));
  await redis[Symbol.asyncDispose]();
}

async function measureAll(): Promise<void> {
  const contestants = new Map(NAMES.map((name) => [name, start(name, name)]));
  const of = (name: string): Peer => contestants.get(name) ?? start(name, name);
  for (const name of NAMES) {
    await ask(of(name), { kind: 'open' });
  }
  const near = await rounds(NEAR.names, (name) =>
    perOperation(name, of(name), { kind: 'near', operations: NEAR.operations }),
  );
  const peek = await rounds(PEEK.names, (name) =>
    perOperation(name, of(name), { kind: 'peek', operations: PEEK.operations }),
  );
  const far = [];
  for (const inFlight of FAR.inFlight) {
    const operations = FAR.operations[inFlight] ?? 0;
    far.push({
      inFlight,
      rows: await rounds(FAR.names, (name) => perOperation(name, of(name), { kind: 'far', operations, inFlight })),
    });
  }
  const { operations, inFlight } = WRITE;
  const write = await rounds(WRITE.names, (name) =>
    perOperation(name, of(name), { kind: 'write', operations, inFlight }),
  );
  const invalidation = [];
  for (const name of INVALIDATION.names) {
    const { lagsMs } = await ask<Lags>(of(name), { kind: 'invalidation', samples: INVALIDATION.samples });
    invalidation.push({ name, p50Ms: at(lagsMs, 0.5), p99Ms: at(lagsMs, 0.99), p999Ms: at(lagsMs, 0.999) });
  }
  const memory = [];
  for (const name of MEMORY.names) {
    const { bytesPerEntry } = await ask<Weight>(of(name), { kind: 'memory', entries: MEMORY.entries });
    memory.push({ name, bytesPerEntry: Math.round(bytesPerEntry) });
  }
  await Promise.all(running.splice(0).map((peer) => peer.close()));
  const stampede = await measureStampede();
  const mix = await measureMix();
  const races = await measureRaces();
  report({ near, peek, far, write, invalidation, memory, stampede, mix, races });
}

function start(name: string, prefix: string): Peer {
  const settings: Settings = { url, prefix: `bench-${prefix.replaceAll(/[^a-z0-9]+/gi, '-')}` };
  const peer = PeerProcess.start({
    name,
    command: process.execPath,
    args: [
      ...process.execArgv,
      '--expose-gc',
      // The collections between the runs would else throw compiled code away that the next run needs.
      '--no-flush-bytecode',
      fileURLToPath(new URL('./cache/contestant.ts', import.meta.url)),
      name,
      JSON.stringify(settings),
    ],
  });
  running.push(peer);
  return peer;
}

function ask<T>(peer: Peer, job: Job): Promise<T> {
  return peer.ask<T>(job, 120_000);
}

async function perOperation(
  name: string,
  peer: Peer,
  job: Extract<Job, { readonly operations: number }>,
): Promise<Taken> {
  const operations = job.operations / (SLOW[name] ?? 1);
  const { ms, cpuMs } = await ask<Taken>(peer, { ...job, operations });
  return { ms: ms / operations, cpuMs: cpuMs / operations };
}

/** All in turns, so that what else the machine does hits all alike; another one begins each round. */
async function rounds(names: readonly string[], run: (name: string) => Promise<Taken>): Promise<readonly Row[]> {
  const taken = new Map(names.map((name): [string, Taken[]] => [name, []]));
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + WARM_UP_ROUNDS) % names.length] ?? '';
      const one = await run(name);
      if (round >= 0) {
        taken.get(name)?.push(one);
      }
    }
  }
  const rates = new Map([...taken].map(([name, all]) => [name, all.map(({ ms }) => 1_000 / ms)]));
  const rateOf = (name: string | undefined): readonly number[] => rates.get(name ?? '') ?? [];
  return names.map((name) => {
    const { median } = spread(rateOf(name));
    return {
      name,
      perSecond: Math.round(median),
      slowest: Math.round(Math.min(...rateOf(name))),
      fastest: Math.round(Math.max(...rateOf(name))),
      cpuUs: rounded(spread((taken.get(name) ?? []).map(({ cpuMs }) => cpuMs * 1_000)).median),
      oursIsFasterBy: ratios(rateOf(names[0]), rateOf(name)),
      ofTheLast: ratios(rateOf(name), rateOf(names.at(-1))),
    };
  });
}

interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly slowest: number;
  readonly fastest: number;
  readonly cpuUs: number;
  readonly oursIsFasterBy: Spread;
  /** Of a bare client, or of a Map. */
  readonly ofTheLast: Spread;
}

/** Several processes ask for a key that nobody holds, at once. */
async function measureStampede() {
  const results = [];
  const { processes, callers, loadMs } = STAMPEDE;
  for (const name of STAMPEDE.names) {
    const peers = Array.from({ length: processes }, () => start(name, `stampede-${name}`));
    await Promise.all(peers.map((peer) => ask(peer, { kind: 'open' })));
    const loads: number[] = [];
    for (let round = 0; round < STAMPEDE.rounds; round++) {
      const job: Job = { kind: 'stampede', key: `cold-${round}`, callers, loadMs };
      const all = await Promise.all(peers.map((peer) => ask<Stampeded>(peer, job)));
      if (all.reduce((sum, { answers }) => sum + answers, 0) !== processes * callers) {
        throw new Error(`Not everybody got an answer of ${name}.`);
      }
      loads.push(all.reduce((sum, one) => sum + one.loads, 0));
    }
    results.push({ name, loads });
    await Promise.all(running.splice(0).map((peer) => peer.close()));
  }
  return results;
}

/** The contract of two replicas. */
async function measureRaces() {
  const results = [];
  for (const name of ZIPF_SUBJECTS) {
    const file = fileURLToPath(new URL('./cache/races.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, file, name, url]);
    const { outcomes } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      readonly outcomes: readonly { readonly title: string; readonly holds: boolean; readonly detail: string }[];
    };
    results.push({ name, outcomes });
  }
  return results;
}

/** Replicas that read and commit, against an oracle. */
async function measureMix() {
  const results = [];
  for (const name of ZIPF_SUBJECTS) {
    const peer = PeerProcess.start({
      name,
      command: process.execPath,
      args: [...process.execArgv, fileURLToPath(new URL('./cache/mix.ts', import.meta.url)), name, url],
    });
    running.push(peer);
    results.push({ name, ...(await peer.ask<Mixed>(MIX, (MIX.seconds + 60) * 1_000)) });
    await Promise.all(running.splice(0).map((one) => one.close()));
  }
  return results;
}

function report(measured: {
  readonly near: readonly Row[];
  readonly peek: readonly Row[];
  readonly far: readonly { readonly inFlight: number; readonly rows: readonly Row[] }[];
  readonly write: readonly Row[];
  readonly invalidation: readonly {
    readonly name: string;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly p999Ms: number;
  }[];
  readonly memory: readonly { readonly name: string; readonly bytesPerEntry: number }[];
  readonly stampede: readonly { readonly name: string; readonly loads: readonly number[] }[];
  readonly mix: readonly (Mixed & { readonly name: string })[];
  readonly races: Awaited<ReturnType<typeof measureRaces>>;
}): void {
  const valueBytes = JSON.stringify(valueOf('key')).length;
  console.log(
    `\ncache: an object of ${valueBytes} bytes as JSON; ${ROUNDS} rounds in turns after ${WARM_UP_ROUNDS} to warm up, one Redis on this machine. ` +
      `Load: ${loadBefore?.toFixed(1)} before, ${loadavg()[0]?.toFixed(1)} after, on ${availableParallelism()} processors.`,
  );
  speed('Reads that the first level answers, each awaited', measured.near);
  speed('The same without a promise', measured.peek);
  for (const { inFlight, rows } of measured.far) {
    speed(`Reads that Redis answers, ${inFlight} at once`, rows);
  }
  speed(`Writes that are accepted, ${WRITE.inFlight} at once; of ioredis: EVALSHA of our script`, measured.write);
  console.log('\nFrom telling of a change to its effect on another replica; of ioredis: a bare PUBLISH');
  table(measured.invalidation, ({ p50Ms, p99Ms, p999Ms }) => ({
    'p50 ms': p50Ms,
    'p99 ms': p99Ms,
    'p99.9 ms': p999Ms,
  }));
  console.log(`\nHeap per entry of the first level, the value with it`);
  table(measured.memory, ({ bytesPerEntry }) => ({
    bytes: bytesPerEntry,
    'more than a Map': bytesPerEntry - (measured.memory.at(-1)?.bytesPerEntry ?? 0),
  }));
  console.log(`\n${STAMPEDE.processes} processes, ${STAMPEDE.callers} callers each, one cold key: runs of the loader`);
  table(measured.stampede, ({ loads }) => ({ 'runs, by round': loads.join(', ') }));
  console.log(
    `\n${MIX.replicas} replicas for ${MIX.seconds} s, ${MIX.keys} keys by zipf ${MIX.theta}, ${MIX.writesPerMille} commits in 1000, against an oracle that knows every commit`,
  );
  table(measured.mix, (mix) => ({
    'reads/s': mix.readsPerSecond,
    'hit %': mix.hitPercent,
    'keys that went back': mix.regressions,
    'reads behind a commit': mix.behind,
    'lag p50 ms': mix.lagP50Ms,
    p99: mix.lagP99Ms,
    most: mix.lagMaxMs,
    'own commit missed': mix.ownCommitMissed,
    'beyond the bound': mix.beyondBound,
    'wrong at rest': mix.wrongAtRest,
  }));
  console.log(
    `The bound of propagation is ${measured.mix[0]?.boundMs} ms: three heartbeats, after which a silent line is distrusted.`,
  );
  console.log('\nThe contract of two replicas (`twoReplicasContract`)');
  for (const { title } of measured.races[0]?.outcomes ?? []) {
    console.log(`  ${title}:`);
    for (const { name, outcomes } of measured.races) {
      console.log(`    ${name}: ${outcomes.find((one) => one.title === title)?.detail}`);
    }
  }
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = {
    name: 'cache',
    valueBytes,
    rounds: ROUNDS,
    node: process.version,
    cpus: availableParallelism(),
    load: { before: loadBefore, after: loadavg()[0] },
    mixOf: MIX,
    ...measured,
  };
  writeFileSync(new URL('cache.json', folder), `${JSON.stringify(result, null, 2)}\n`);
}

function speed(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  table(rows, (row) => ({
    'median per second': row.perSecond,
    'slowest to fastest': `${row.slowest} to ${row.fastest}`,
    'CPU µs each': row.cpuUs,
    'ours is faster by': `${row.oursIsFasterBy.median.toFixed(2)} x`,
    // Round by round, and between the quartiles: what the machine does besides falls out.
    [`of ${rows.at(-1)?.name}`]: shown(row.ofTheLast),
  }));
}

function at(sorted: readonly number[], share: number): number {
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toPrecision(6));
}
