/** Counts of one channel; plain integers, because messages are frequent. */
export interface ChannelCounters {
  published: number;
  publishFailures: number;
  received: number;
  handled: number;
  failed: number;
  dropped: number;
  gaps: number;
}

/** All at nought. */
export function startCounting(): ChannelCounters {
  return { published: 0, publishFailures: 0, received: 0, handled: 0, failed: 0, dropped: 0, gaps: 0 };
}
