/** Counts since the creation of a worker, in plain integers: the hot path pays nothing else for metrics. */
export interface WorkerCounters {
  accepted: number;
  completed: number;
  failed: number;
  withdrawn: number;
  leftover: number;
  refused: number;
  batches: number;
}

/** Counters at their beginning. */
export function startCounting(): WorkerCounters {
  return { accepted: 0, completed: 0, failed: 0, withdrawn: 0, leftover: 0, refused: 0, batches: 0 };
}
