import { readFileSync } from 'node:fs';

/** What is between the quartiles says more than the extremes: a round that something else disturbed is one of them. */
export interface Spread {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const place = (sorted.length - 1) * share;
    const below = sorted[Math.floor(place)] ?? Number.NaN;
    return below + ((sorted[Math.ceil(place)] ?? Number.NaN) - below) * (place % 1);
  };
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}

/** How two compare round by round: both ran within seconds of one another, so that what the machine did besides falls out. */
export function ratios(ours: readonly number[], others: readonly number[]): Spread {
  return spread(ours.map((value, round) => value / (others[round] ?? Number.NaN)));
}

/** Least squares. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** "1.02 [0.94 to 1.10]" */
export function shown({ lower, median, upper }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} [${lower.toFixed(digits)} to ${upper.toFixed(digits)}]`;
}

export function table<T extends { readonly name: string }>(
  rows: readonly T[],
  columns: (row: T) => Record<string, unknown>,
): void {
  console.table(Object.fromEntries(rows.map((row) => [row.name, columns(row)])));
}

/** A tick of the clock that Linux counts the time of processes by. */
const TICK_MS = 10;

/** Processor time of another process so far, in milliseconds and to 10 of them; not a number where the system does not tell. */
export function cpuMsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return Number.NaN;
  }
}
