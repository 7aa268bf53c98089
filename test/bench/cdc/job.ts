/** The table of the runs in which something changes. */
export const STOCK = 'dbo.stock';

/** The tables of the run in which nothing does. */
export const quietTables = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `dbo.quiet_${index}`);

/** What the server is asked to do. Every change says in its column `at` when it was committed, on the clock that all processes share. */
export type Job =
  | { readonly kind: 'open'; readonly quietTables: number }
  /** Rows with keys that were never used, so many in a transaction. */
  | { readonly kind: 'commit'; readonly rows: number; readonly perTransaction: number }
  /** One row a transaction, evenly, for a while; answers when it is over. */
  | { readonly kind: 'steady'; readonly perSecond: number; readonly seconds: number };

/** Where the server is. */
export interface Opened {
  readonly port: number;
  readonly pid: number;
}

/** What has become of a job that writes. */
export interface Written {
  /** The database's version after it, as text. */
  readonly version: string;
}

/** Nanoseconds of the machine's monotonic clock: the same in every process of it. */
export function nowNs(): bigint {
  return process.hrtime.bigint();
}
