/**
 * How many items a free worker takes. `natural`: what is there, up to the maximum. Batches grow only because items wait for a busy
 * worker, so an idle one adds no latency and needs no timer.
 */
export type BatchSizing = 'natural';

/** What a sizer learns from each batch that ended. */
export interface BatchMeasurement {
  readonly items: number;
  readonly durationMs: number;
  /** `false`: the handler threw; its time says nothing about the cost of the items. */
  readonly succeeded: boolean;
}

/** The law behind a {@link BatchSizing}: asked before each batch, told after it. */
export interface BatchSizer {
  /** The most items that the next batch may have, at least 1. */
  limit(): number;
  /** Called once for each batch that ended. */
  record(measurement: BatchMeasurement): void;
}

/** Makes the sizer that an option names. */
export function createSizer(sizing: BatchSizing, maxBatchItems: number): BatchSizer {
  return SIZERS[sizing](maxBatchItems);
}

const SIZERS: Readonly<Record<BatchSizing, (maxBatchItems: number) => BatchSizer>> = Object.freeze({
  natural: (maxBatchItems: number): BatchSizer => ({ limit: () => maxBatchItems, record: () => undefined }),
});
