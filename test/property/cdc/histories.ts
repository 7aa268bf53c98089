import { expect } from 'vitest';
import { History, type HistoryOptions } from './history.js';
import type { Violation } from './witness.js';

/** Which seeds are played: `CDC_SEEDS=5000-5999 vitest run --project property test/property/cdc` plays others. */
export function seedsFrom(first: number, count: number): readonly number[] {
  const [from, to] = (process.env['CDC_SEEDS'] ?? '').split('-').map(Number);
  return from === undefined || to === undefined || Number.isNaN(from + to)
    ? range(first, first + count - 1)
    : range(from, to);
}

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

/** Whether everything of a list happened, and not once by chance. */
export function expectHappened(happened: ReadonlyMap<string, number>, names: readonly string[]): void {
  expect(names.filter((name) => (happened.get(name) ?? 0) <= 10)).toEqual([]);
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
];

/** The first seed in which something broke, and what. */
export async function searchAll(
  seeds: readonly number[],
  options: Omit<HistoryOptions, 'seed'>,
): Promise<readonly string[]> {
  for (const seed of seeds) {
    const { violations } = await History.play({ ...options, seed });
    if (violations.length > 0) {
      return violations.map(({ invariant }) => invariant);
    }
  }
  return [];
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
