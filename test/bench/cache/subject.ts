import type { Settings } from './job.ts';

/** What all of them cache: about 2 kB as JSON. */
export interface Value {
  readonly id: string;
  readonly rows: readonly { readonly at: number; readonly eur: string; readonly mw: number }[];
}

export function valueOf(id: string): Value {
  return {
    id,
    rows: Array.from({ length: 50 }, (_, at) => ({ at, eur: (at * 1.37).toFixed(2), mw: 100 + at })),
  };
}

/** A cache under measurement, opened for one purpose. What it lacks it leaves out. */
export interface Subject {
  /** Stores a value, in every level that there is. */
  put(key: string): Promise<void>;
  /** Reads from the nearest level. */
  read(key: string): Promise<Value | undefined>;
  /** Reads from the first level, without a promise. */
  peek?(key: string): Value | undefined;
  /** Writes a value again, newer than before. */
  write?(key: string, value: Value): Promise<unknown>;
  /** Reads, and loads what is not there. */
  load?(key: string, loader: () => Promise<Value>): Promise<Value | undefined>;
  /** Tells of a change and resolves when `other` shows it: what it held is gone there. */
  lag?(key: string, other: Subject): Promise<number>;
  close(): Promise<void>;
}

/** How much of the first level there is: enough for everything, or as little as the cache permits. */
export type FirstLevelSize = 'large' | 'least';

/** Opens a subject. */
export type Open = (settings: Settings, firstLevel: FirstLevelSize) => Promise<Subject>;

export const ENTRIES: Readonly<Record<FirstLevelSize, number>> = { large: 100_000, least: 1 };
export const TTL_MS = 3_600_000;
