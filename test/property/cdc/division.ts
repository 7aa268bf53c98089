const OTHERS = process.env['CDC_SEEDS'] ?? '';

/** Whether the seeds are not those of the division. */
export const OTHER_SEEDS = OTHERS !== '';

/** How many histories of each kind a test run plays, and in how many files, which run side by side. On SQL Server's engine and over its wire together 5,000. */
export const DIVISION = {
  'in memory': { histories: 800, files: 1 },
  embedded: { histories: 400, files: 1 },
  'engine, database': { histories: 2_250, files: 2 },
  'engine, clock': { histories: 2_250, files: 2 },
  'wire, database': { histories: 250, files: 1 },
  'wire, clock': { histories: 250, files: 1 },
} as const;

export type Kind = keyof typeof DIVISION;

/** What one file plays. */
export interface Part {
  readonly kind: Kind;
  /** Counts from 1. */
  readonly file: number;
}

/** Which seeds a file plays: `CDC_SEEDS=5000-5999 vitest run --project property test/property/cdc` plays others. */
export function seedsOf({ kind, file }: Part): readonly number[] {
  const { histories, files } = DIVISION[kind];
  const [from = 0, to = 0] = OTHER_SEEDS ? OTHERS.split('-').map(Number) : [1, histories];
  const count = to - from + 1;
  const [first, end] = [file - 1, file].map((index) => from + Math.floor((count * index) / files));
  return Array.from({ length: (end ?? 0) - (first ?? 0) }, (_, index) => (first ?? 0) + index);
}
