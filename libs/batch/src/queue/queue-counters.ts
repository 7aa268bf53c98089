/** Counts since the creation of a queue, in plain integers: the hot path pays nothing else for metrics. */
export interface QueueCounters {
  accepted: number;
  completed: number;
  failed: number;
  leftover: number;
  refused: number;
  retries: number;
}

/** Counters at their beginning. */
export function startCounting(): QueueCounters {
  return { accepted: 0, completed: 0, failed: 0, leftover: 0, refused: 0, retries: 0 };
}
