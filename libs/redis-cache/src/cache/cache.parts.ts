import type { Clock, Random } from '@smartpulse/resilience';
import type { CacheNamespace } from '../namespace/define-cache.js';
import type { NamespaceNames } from '../namespace/names.js';
import type { StoreOrigin } from '../store/cache.store.js';
import type { TimedCacheStore } from '../store/timed.store.js';
import type { CacheStats } from './cache.stats.js';
import type { EntryCodec } from './entry.codec.js';
import type { GatheredReads } from './gathered-reads.js';
import type { KeyWaiters } from './key-waiters.js';
import type { LoadTiming } from './load-timing.js';
import type { LocalView } from './local-view.js';
import type { OutageGate } from './outage-gate.js';
import type { TagBook } from './tags/tag-book.js';

/** What a cache and its loads work with. */
export interface CacheParts<T> {
  readonly namespace: CacheNamespace<T>;
  readonly names: NamespaceNames;
  readonly origin: StoreOrigin;
  readonly store: TimedCacheStore;
  /** Reads of {@link store}. */
  readonly reads: GatheredReads;
  readonly view: LocalView<T>;
  readonly codec: EntryCodec<T>;
  readonly waiters: KeyWaiters;
  readonly gate: OutageGate;
  /** The tags of a namespace that has some. */
  readonly tags: TagBook;
  readonly timing: LoadTiming;
  /** The store keeps values beyond their life, for fail-safe. */
  readonly keepsOld: boolean;
  readonly stats: CacheStats;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted when the cache closes. */
  readonly closing: AbortSignal;
  /** Told how long each loader took, in milliseconds. */
  onLoaded(durationMs: number): void;
  /** Told the size of each payload that the store took, in bytes. */
  onStored(bytes: number): void;
  /** Told why a value could not be loaded anew before its end, which no caller is. */
  onRefreshFailed(error: unknown): void;
}

/** A life shortened by up to a tenth, so that what was stored together does not end together. */
export function jitteredTtlMs(ttlMs: number, random: Random): number {
  return Math.max(1, Math.round(ttlMs * (1 - 0.1 * random.next())));
}
