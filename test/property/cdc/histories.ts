import { expect } from 'vitest';
import { OTHER_SEEDS } from './division.js';
import { History, type HistoryOptions } from './history.js';
import type { Invariant, Violation } from './witness.js';

/** What a file of histories may take on a machine that others use too, in milliseconds. */
export const PATIENT_MS = 600_000;

/** Enough to see whether one thing broke or many. */
const MOST_BROKEN = 5;

/** Plays all seeds; answers how often each thing happened, because what did not happen was not tested. */
export async function playAll(
  seeds: readonly number[],
  options: Omit<HistoryOptions, 'seed'>,
): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  const broken: (Violation & { readonly seed: number })[] = [];
  for (const seed of seeds) {
    const outcome = await History.play({ ...options, seed });
    broken.push(...outcome.violations.map((violation) => ({ seed, ...violation })));
    outcome.happened.forEach((count, name) => happened.set(name, (happened.get(name) ?? 0) + count));
    if (broken.length >= MOST_BROKEN) {
      break;
    }
  }
  expect(broken).toEqual([]);
  return happened;
}

/** Whether everything of a list happened, and not once by chance; other seeds may be too few for that. */
export function expectHappened(happened: ReadonlyMap<string, number>, names: readonly string[]): void {
  expect(OTHER_SEEDS ? [] : names.filter((name) => (happened.get(name) ?? 0) <= 10)).toEqual([]);
}

/** What befalls every kind of database. */
export const BEFALLS_ALL: readonly string[] = [
  'commits of more rows than a page',
  'rows deleted and inserted again',
  'keys changed',
  'clean-ups',
  'truncates',
  'tables made again',
  'columns added',
  'crashes after hand-off, before the checkpoint',
  'crashes elsewhere',
  'bootstraps that a crash interrupted',
  'processes that stood still',
  'hand-offs that failed whole',
  'hand-offs that failed in part',
  'poison that was told of',
  'saves that were done and then failed',
  'resyncs: firstStart',
  'resyncs: newSinkInstance',
  'resyncs: checkpointExpired',
  'resyncs: tableTruncated',
  'resyncs: tableReplaced',
  'resyncs: schemaChanged',
  'stamped reads',
  'tables: 3',
  'stuck: reads',
  'stuck: hand-offs',
  'stuck: saves',
  'stuck: leases',
];

/** The first seed in which an invariant broke, if there is one. */
export async function findBroken(
  invariant: Invariant,
  seeds: readonly number[],
  options: Omit<HistoryOptions, 'seed'>,
): Promise<number | undefined> {
  for (const seed of seeds) {
    const { violations } = await History.play({ ...options, seed });
    if (violations.some((one) => one.invariant === invariant)) {
      return seed;
    }
  }
  return undefined;
}
