import type { InvalidationAction } from '../invalidation/invalidation.bus.js';

/** Why the first level was dropped: the first subscription stood, another one did after messages may have been lost, a sweep, the end. */
export type FlushReason = 'start' | 'distrust' | 'sweep' | 'close';

/** What a replica tells the others: what its users asked for. */
export type SentAction = 'refresh' | 'invalidate' | 'evict' | 'fields' | 'tag' | 'sweep';

/** What a replica hears; `tag`: of an invalidated tag, `flush`: of a sweep. */
export type HeardAction = InvalidationAction | 'tag';

/** What a cache counted since it was opened, in plain integers. */
export interface CacheStats {
  /** Answers from the first level. */
  l1Hits: number;
  /** Answers from the second level, also what another loader had stored. */
  l2Hits: number;
  /** Answers that say "no such thing", from either level. */
  negativeHits: number;
  /** `get` that found nothing, and `getOrLoad` that had to load or wait. */
  misses: number;
  /** Callers that joined a load of this process. */
  joined: number;
  /** Runs of a loader. */
  loads: number;
  /** Loaders that answered. */
  loaded: number;
  /** Loaders that threw or took too long. */
  loadFailures: number;
  /** Sets that the store took, of loaders and others. */
  applied: number;
  /** Sets of others than loaders that the store did not take: it knew the same or something newer, or nothing that they may replace. */
  declined: number;
  /** Sets of loaders that the store refused. */
  refused: number;
  /** Loads that left the promise map because a newer stamp was learned. */
  takenOut: number;
  /** Values loaded anew before their life ended (`earlyRefresh`). */
  earlyRefreshes: number;
  /** Tags that this replica invalidated. */
  tagsInvalidated: number;
  /** Loads that failed and were answered with the last known value (`failSafeMs`). */
  failSafes: number;
  /** Answers with `stale: true`. */
  staleAnswers: number;
  /** Loads whose result was not stored because the store failed or another lease stood for too long. */
  unstored: number;
  /** Values too large to store. */
  oversized: number;
  /** Stored text that the codec could not read. */
  undecodable: number;
  /** Calls that the store failed or did not answer in time. */
  storeFailures: number;
  /** Loads refused because the store was down and too many waited. */
  overloaded: number;
  leasesAcquired: number;
  /** Answers of the store that another replica's lease stands. */
  leasesWaited: number;
  /** Leases that were gone when they were renewed or used. */
  leasesLost: number;
  /** Leases of others that ended by their time while this replica waited, so that it took them over: their loaders died, or were cut off. */
  leasesExpired: number;
  /** Changes (`refresh`, `invalidate`, `evict`, `sweep`, of fields and tags) sent by this replica. */
  changesSent: number;
  /** The same by what they were. */
  sentByAction: Record<SentAction, number>;
  /** Entries and leases removed because this replica swept the namespace. */
  swept: number;
  messagesReceived: number;
  /** The same by what they told. */
  receivedByAction: Record<HeardAction, number>;
  /** Times that messages may have been lost, so that the first level was not trusted any more. */
  gaps: number;
  /** Entries now in the first level. */
  l1Entries: number;
  /** Bytes that those take, roughly. */
  l1Bytes: number;
  /** Times that the whole first level was dropped. */
  l1Flushes: number;
  /** The same by their reasons. */
  l1FlushReasons: Readonly<Record<FlushReason, number>>;
  /** Entries that left the first level because it was full. */
  l1Evictions: number;
}

/** All counters at zero. */
export function emptyStats(): CacheStats {
  return {
    l1Hits: 0,
    l2Hits: 0,
    negativeHits: 0,
    misses: 0,
    joined: 0,
    loads: 0,
    loaded: 0,
    loadFailures: 0,
    applied: 0,
    declined: 0,
    refused: 0,
    takenOut: 0,
    earlyRefreshes: 0,
    tagsInvalidated: 0,
    failSafes: 0,
    staleAnswers: 0,
    unstored: 0,
    oversized: 0,
    undecodable: 0,
    storeFailures: 0,
    overloaded: 0,
    leasesAcquired: 0,
    leasesWaited: 0,
    leasesLost: 0,
    leasesExpired: 0,
    changesSent: 0,
    sentByAction: { refresh: 0, invalidate: 0, evict: 0, fields: 0, tag: 0, sweep: 0 },
    swept: 0,
    messagesReceived: 0,
    receivedByAction: { set: 0, refresh: 0, invalidate: 0, evict: 0, release: 0, flush: 0, tag: 0 },
    gaps: 0,
    l1Entries: 0,
    l1Bytes: 0,
    l1Flushes: 0,
    l1FlushReasons: { start: 0, distrust: 0, sweep: 0, close: 0 },
    l1Evictions: 0,
  };
}

/** Counts a change that this replica sends. */
export function countSent(stats: CacheStats, action: SentAction): void {
  stats.changesSent++;
  stats.sentByAction[action]++;
}

/** Counts a message that it hears. */
export function countHeard(stats: CacheStats, action: HeardAction): void {
  stats.messagesReceived++;
  stats.receivedByAction[action]++;
}

/** The counters as they are now: what follows changes them no more. */
export function copiedStats(stats: CacheStats): CacheStats {
  return { ...stats, sentByAction: { ...stats.sentByAction }, receivedByAction: { ...stats.receivedByAction } };
}
