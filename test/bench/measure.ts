import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** One way of doing the work. */
export interface BenchCase {
  readonly name: string;
  /** Does the work once, from nothing, and throws when it came out wrong. */
  run(): Promise<void>;
}

/** What is measured, and how the cases compare. */
export interface Bench {
  /** File name of the result. */
  readonly name: string;
  /** What one run does, in a sentence. */
  readonly work: string;
  /** Units of work in one run. */
  readonly units: number;
  readonly unit: string;
  /** The first one is ours: the others are compared with it. */
  readonly cases: readonly [BenchCase, ...BenchCase[]];
}

/** The compiler of the engine has to see the work a few times before it settles. */
const WARM_UP_ROUNDS = 3;
const ROUNDS = 5;

/** Milliseconds that this process has computed, on all its threads: other processes do not count, waiting does not either. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/**
 * Runs every case three times to warm up and then five times, in turns; prints a table and writes
 * `results/<name>.json`. Time is processor time, because the work never waits and a busy machine must not decide. Ratios of medians are
 * what to read: absolute figures are the machine's.
 */
export async function measure(bench: Bench): Promise<void> {
  const timesMs = bench.cases.map((): number[] => []);
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (const [index, each] of bench.cases.entries()) {
      const startedMs = cpuMs();
      await each.run();
      if (round >= 0) {
        timesMs[index]?.push(cpuMs() - startedMs);
      }
    }
  }
  const rows = bench.cases.map(({ name }, index) => {
    const sorted = (timesMs[index] ?? []).toSorted((a, b) => a - b);
    const perSecond = (timeMs: number | undefined): number =>
      Math.round(bench.units / ((timeMs ?? Number.NaN) / 1_000));
    return {
      name,
      medianPerSecond: perSecond(sorted[Math.floor(ROUNDS / 2)]),
      slowestPerSecond: perSecond(sorted.at(-1)),
      fastestPerSecond: perSecond(sorted[0]),
    };
  });
  const ours = rows[0]?.medianPerSecond ?? Number.NaN;
  const results = rows.map((row) => ({ ...row, oursIsFasterBy: Math.round((ours / row.medianPerSecond) * 100) / 100 }));

  console.log(`\n${bench.name}: ${bench.work}`);
  console.table(
    Object.fromEntries(
      results.map(({ name, medianPerSecond, slowestPerSecond, fastestPerSecond, oursIsFasterBy }) => [
        name,
        {
          [`median ${bench.unit} per CPU second`]: medianPerSecond,
          'slowest to fastest': `${slowestPerSecond} to ${fastestPerSecond}`,
          'ours is faster by': `${oursIsFasterBy.toFixed(2)} x`,
        },
      ]),
    ),
  );
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    new URL(`${bench.name}.json`, folder),
    `${JSON.stringify(
      {
        name: bench.name,
        work: bench.work,
        unit: bench.unit,
        units: bench.units,
        rounds: ROUNDS,
        node: process.version,
        cpus: availableParallelism(),
        results,
      },
      null,
      2,
    )}\n`,
  );
}
