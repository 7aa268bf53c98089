// Change capture on SQL Server, over the wire: the real driver against the TDS test server, which is a process of its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import type { RowChange } from '@smartpulse/cdc';
import { sqlServerCdc } from '@smartpulse/cdc/sql-server';
import { Follower, poolOn } from './cdc/follower.ts';
import { type Job, nowNs, type Opened, quietTables, STOCK, type Written } from './cdc/job.ts';
import { cpuMsOf, rounded, shown, slope, type Spread, spread } from './statistics.ts';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier.startsWith('.') && context.parentURL?.endsWith('.ts') ? specifier.replace(/\.js$/, '.ts') : specifier,
      context,
    ),
});
const { Peer } = await import('../support/pulsar-peers/peer.ts');

/** `CDC_BENCH="--drain=100000 --only=drain" npm run bench -- cdc` makes it smaller. */
const { values: options } = parseArgs({
  args: (process.env['CDC_BENCH'] ?? '').split(' ').filter((word) => word !== ''),
  options: {
    only: { type: 'string', multiple: true, default: ['idle', 'burst', 'drain', 'lag'] },
    tables: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '5' },
    drain: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '5' },
  },
});
const TABLES = Number(options.tables);
const ROUNDS = Number(options.rounds);
const DRAIN = Number(options.drain);
const SECONDS = Number(options.seconds);
const WARM_UP_ROUNDS = 1;
/** Commits to a handler, so often in a round. */
const BURSTS = 40;
const SLICES = 10;
const PROBES_IN_A_ROW = 1_000;
const DEADLINE_MS = 300_000;
/** Statements that ask whether anything has changed: what is known of the tables, or whether that still holds. */
const PROBES = ['lookAtSource', 'repeatLook'];
/** Never by itself: only when it is nudged. */
const WHEN_NUDGED = { minIntervalMs: 600_000, maxIntervalMs: 600_000 };

/** A figure of the design beside what was seen. */
interface Figure {
  readonly name: string;
  readonly seen: string;
  readonly target: string;
  readonly met: boolean | null;
}

const loadBefore = loadavg()[0];
const server = Peer.start({
  name: 'the SQL test server',
  command: process.execPath,
  args: [
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    '--max-old-space-size=6000',
    fileURLToPath(new URL('./cdc/server.ts', import.meta.url)),
  ],
});
const ask = <T>(job: Job): Promise<T> => server.ask<T>(job, DEADLINE_MS);
const figures: Figure[] = [];
const details: Record<string, unknown> = {};
try {
  const { port, pid } = await ask<Opened>({ kind: 'open', quietTables: TABLES });
  const parts: Readonly<Record<string, () => Promise<unknown>>> = {
    idle: () => idle(port, pid),
    burst: () => burst(port, pid),
    lag: () => lag(port, pid),
    drain: () => drain(port, pid),
  };
  for (const [name, part] of Object.entries(parts)) {
    if (options.only.includes(name)) {
      details[name] = await part();
    }
  }
  report();
} finally {
  await server.close();
}

/** The smallest request that the driver can send, as often: no poller can cost less. */
async function floor(port: number, pid: number): Promise<Spread> {
  const pool = poolOn(port);
  const shares: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const watch = stopwatch(pid);
    for (let request = 0; request < SECONDS * 4; request++) {
      await pool.run({ name: 'floor', sql: 'SELECT 1 AS one', parameters: [] });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const { ms, cpuMs } = watch();
    if (round >= 0) {
      shares.push((cpuMs / ms) * 100);
    }
  }
  await pool.close();
  return spread(shares);
}

/** Nothing changes, and every table is polled each 250 ms. */
async function idle(port: number, pid: number): Promise<unknown> {
  const bare = await floor(port, pid);
  const every = { minIntervalMs: 250, maxIntervalMs: 250 };
  await using follower = await Follower.start(port, 'idle', quietTables(TABLES), every, () => {});
  const probesMs: number[] = [];
  const rounds: { cpuShare: number; serverShare: number; perSecond: Record<string, number> }[] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    follower.pool.take();
    const watch = stopwatch(pid);
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
    const { ms, cpuMs, serverCpuMs } = watch();
    const taken = follower.pool.take();
    if (round >= 0) {
      probesMs.push(...PROBES.flatMap((name) => taken.get(name) ?? []));
      const perSecond = Object.fromEntries([...taken].map(([name, times]) => [name, rounded(times.length / SECONDS)]));
      rounds.push({ cpuShare: (cpuMs / ms) * 100, serverShare: (serverCpuMs / ms) * 100, perSecond });
    }
  }
  const cpu = spread(rounds.map(({ cpuShare }) => cpuShare));
  const probes = percentiles(probesMs);
  const often = percentiles(await probesInARow(follower));
  const looks = spread(rounds.map(({ perSecond }) => PROBES.reduce((sum, name) => sum + (perSecond[name] ?? 0), 0)));
  const tables = `no change, ${TABLES} tables each 250 ms`;
  figures.push(
    figure(`${tables}: client's share of a core`, `${shown(cpu)} %`, '1 %', cpu.median < 1),
    figure('a bare SELECT 1 of the driver each 250 ms: share of a core', `${shown(bare)} %`),
    figure(`${tables}: probes a second`, shown(looks), '4 (one for all tables)', looks.median < 5),
    figure(`${tables}: a probe, p50 / p99 of ${probesMs.length}`, shownPercentiles(probes), '5 ms', probes.p99Ms < 5),
    figure(
      `${TABLES} tables: a probe, p50 / p99 of ${PROBES_IN_A_ROW}, each 10 ms`,
      shownPercentiles(often),
      '5 ms',
      often.p99Ms < 5,
    ),
  );
  return { cpu, bare, probes, often, rounds };
}

/** So many that the hundredth part of them is more than one: how long each took, in milliseconds. */
async function probesInARow({ pool }: Follower): Promise<readonly number[]> {
  const { source } = sqlServerCdc({ name: 'shop', pool });
  const timesMs: number[] = [];
  for (let probe = 0; probe < PROBES_IN_A_ROW; probe++) {
    const startedMs = performance.now();
    await source.state(quietTables(TABLES));
    timesMs.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return timesMs;
}

/** From a commit, and the nudge that follows it, to the handler. */
async function burst(port: number, pid: number): Promise<unknown> {
  let handled = 0;
  let resolve = (): void => {};
  let wanted = 0;
  const count = (changes: readonly RowChange[]): void => {
    handled += changes.length;
    if (handled >= wanted) {
      resolve();
    }
  };
  await using follower = await Follower.start(port, 'burst', [STOCK], WHEN_NUDGED, count);
  const results: Record<string, unknown> = {};
  for (const [changes, perTransaction, targetMs] of [
    [100, 1, 50],
    [1_000, 10, 150],
  ] as const) {
    const timesMs: number[] = [];
    const watch = stopwatch(pid);
    for (let round = -BURSTS / 2; round < ROUNDS * BURSTS; round++) {
      const { version } = await ask<Written>({ kind: 'commit', rows: changes, perTransaction });
      wanted = handled + changes;
      const { promise: all, resolve: done } = Promise.withResolvers<void>();
      resolve = done;
      const startedMs = performance.now();
      follower.registry.pollNow(STOCK);
      await all;
      if (round >= 0) {
        timesMs.push(performance.now() - startedMs);
      }
      await follower.reached(version);
    }
    const { cpuMs, serverCpuMs } = watch();
    const seen = percentiles(timesMs);
    const name = `${changes} changes to the handler after the poll starts, p50 / p99`;
    const polls = ROUNDS * BURSTS + BURSTS / 2;
    const [cpuMsEach, serverCpuMsEach] = [rounded(cpuMs / polls), rounded(serverCpuMs / polls)];
    figures.push(
      figure(name, shownPercentiles(seen), `${targetMs} ms`, seen.p99Ms < targetMs),
      figure(`${changes} changes: CPU ms, client / server with its commits`, `${cpuMsEach} / ${serverCpuMsEach}`),
    );
    results[changes] = { ...seen, cpuMsEach, serverCpuMsEach };
  }
  return results;
}

/** From a commit to the handler while changes come evenly. */
async function lag(port: number, pid: number): Promise<unknown> {
  const PER_SECOND = 500;
  const results: Record<string, unknown> = {};
  for (const [name, tuning] of [
    ['defaults', {}],
    ['minIntervalMs 20', { minIntervalMs: 20 }],
  ] as const) {
    let lagsMs: number[] = [];
    const note = (changes: readonly RowChange[]): void => {
      const now = nowNs();
      for (const { row } of changes) {
        lagsMs.push(Number(now - BigInt(row?.['at'] as number)) / 1_000_000);
      }
    };
    const tuned = { ...tuning, bootstrap: 'never' } as const;
    await using follower = await Follower.start(port, `lag-${Object.keys(tuning).length}`, [STOCK], tuned, note);
    const rounds: { p50Ms: number; p99Ms: number; cpuShare: number; serverShare: number }[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      lagsMs = [];
      const watch = stopwatch(pid);
      const { version } = await ask<Written>({ kind: 'steady', perSecond: PER_SECOND, seconds: SECONDS });
      const { ms, cpuMs, serverCpuMs } = watch();
      await follower.reached(version);
      if (round >= 0) {
        rounds.push({ ...percentiles(lagsMs), cpuShare: (cpuMs / ms) * 100, serverShare: (serverCpuMs / ms) * 100 });
      }
    }
    const of = (key: keyof (typeof rounds)[number]): Spread => spread(rounds.map((round) => round[key]));
    const title = `commit to handler at ${PER_SECOND} changes/s, ${name}`;
    figures.push(
      figure(`${title}: p50 ms`, shown(of('p50Ms'), 1)),
      figure(`${title}: p99 ms`, shown(of('p99Ms'), 1)),
      figure(
        `${title}: share of a core, client / server`,
        `${shown(of('cpuShare'), 1)} / ${shown(of('serverShare'), 1)} %`,
      ),
    );
    results[name] = rounds;
  }
  return results;
}

/** Everything that was committed while nobody read. */
async function drain(port: number, pid: number): Promise<unknown> {
  let handled = 0;
  const samples: { changes: number; ms: number; cpuMs: number; serverCpuMs: number; heapBytes: number }[] = [];
  let watch = stopwatch(pid);
  let startedAt = Number.POSITIVE_INFINITY;
  let lowestHeapBytes = Number.POSITIVE_INFINITY;
  const count = (changes: readonly RowChange[]): void => {
    handled += changes.length;
    // The lowest since the last sample: what a collection has left. One that is forced would slow down what follows.
    lowestHeapBytes = Math.min(lowestHeapBytes, getHeapStatistics().used_heap_size);
    const slice = Math.floor((handled - startedAt) / (DRAIN / SLICES));
    if (slice > samples.length) {
      samples.push({ changes: handled - startedAt, ...watch(), heapBytes: lowestHeapBytes });
      lowestHeapBytes = Number.POSITIVE_INFINITY;
    }
  };
  await using follower = await Follower.start(port, 'drain', [STOCK], { ...WHEN_NUDGED, bootstrap: 'never' }, count);
  startedAt = handled;
  const { version } = await ask<Written>({ kind: 'commit', rows: DRAIN, perTransaction: 100 });
  watch = stopwatch(pid);
  follower.registry.pollNow(STOCK);
  await follower.reached(version, DEADLINE_MS);
  const total = watch();
  const slices = samples.map((sample, index) => {
    const before = samples[index - 1] ?? { changes: 0, ms: 0, cpuMs: 0, serverCpuMs: 0 };
    const changes = sample.changes - before.changes;
    return {
      perSecond: changes / ((sample.ms - before.ms) / 1_000),
      cpuUs: ((sample.cpuMs - before.cpuMs) * 1_000) / changes,
      serverCpuUs: ((sample.serverCpuMs - before.serverCpuMs) * 1_000) / changes,
    };
  });
  const perSecond = spread(slices.map((slice) => slice.perSecond));
  // The first tenths fill caches and compile.
  const growth = slope(samples.slice(2).map(({ changes, heapBytes }) => [changes, heapBytes] as const));
  const cpuUs = spread(slices.map((slice) => slice.cpuUs));
  const serverCpuUs = spread(slices.map((slice) => slice.serverCpuUs));
  const heapMb = (samples.at(-1)?.heapBytes ?? Number.NaN) / 1e6;
  const title = `drain of ${DRAIN.toLocaleString('en')} changes`;
  figures.push(
    figure(`${title}: rows a second, of each tenth`, shown(perSecond, 0), '20,000', perSecond.median >= 20_000),
    figure(`${title}: CPU µs a row, client`, shown(cpuUs, 1)),
    figure(`${title}: CPU µs a row, server`, shown(serverCpuUs, 1)),
    figure(
      `${title}: heap, bytes a row / MB at the end`,
      `${growth.toFixed(2)} / ${heapMb.toFixed(1)}`,
      'flat',
      growth < 8,
    ),
  );
  return { total, slices, samples };
}

function figure(name: string, seen: string, target = '', met: boolean | null = null): Figure {
  return { name, seen, target, met };
}

function percentiles(values: readonly number[]): { readonly p50Ms: number; readonly p99Ms: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50Ms: rounded(at(0.5)), p99Ms: rounded(at(0.99)) };
}

function shownPercentiles({ p50Ms, p99Ms }: { readonly p50Ms: number; readonly p99Ms: number }): string {
  return `${p50Ms} / ${p99Ms} ms`;
}

/** Time, and processor time of this process and of the server. */
function stopwatch(serverPid: number) {
  const startedMs = performance.now();
  const cpuStarted = process.cpuUsage();
  const serverStartedMs = cpuMsOf(serverPid);
  return () => {
    const { user, system } = process.cpuUsage(cpuStarted);
    return {
      ms: performance.now() - startedMs,
      cpuMs: (user + system) / 1_000,
      serverCpuMs: cpuMsOf(serverPid) - serverStartedMs,
    };
  };
}

function report(): void {
  const load = { before: loadBefore, after: loadavg()[0] };
  console.log(
    `\ncdc: SQL Server change tracking over the wire, client and server on this machine (median and quartiles of ${ROUNDS})`,
  );
  console.table(
    Object.fromEntries(
      figures.map(({ name, seen, target, met }) => [
        name,
        { seen, target, '': met === null ? '' : met ? 'met' : 'MISSED' },
      ]),
    ),
  );
  console.log(
    `Load of the machine: ${load.before?.toFixed(2)} before, ${load.after?.toFixed(2)} after, on ${availableParallelism()} processors.`,
  );
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = { name: 'cdc', node: process.version, cpus: availableParallelism(), load, options, figures, details };
  writeFileSync(new URL('cdc.json', folder), `${JSON.stringify(result, null, 2)}\n`);
}
