import type { PollSignal, StampedReader } from '@smartpulse/cdc';
import type { EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { SyncNotRegisteredError } from '../data-sync.errors.js';
import type { WireKey } from '../definition/change-contract.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import { toEntryVersion } from '../read/entry-version.mapping.js';
import type { SyncRegistry } from '../registry/sync.registry.js';
import type { SyncActivity } from '../supervise/sync.activity.js';
import type { DataSyncStats } from '../supervise/data-sync.stats.js';

/** Caches by name: a `CacheRegistry`. */
export interface NamedCaches {
  has(name: string): boolean;
  get(name: string): VersionedCache<unknown>;
}

/** What {@link DataSync} works with. */
export interface DataSyncParts {
  readonly registry: SyncRegistry;
  readonly caches: NamedCaches;
  readonly reader: StampedReader;
  readonly signal: PollSignal;
  readonly activity: SyncActivity;
  readonly committedConcurrency: number;
}

/**
 * What an app says to its syncs.
 *
 * @example
 * ```ts
 * await dataSource.transaction((manager) => manager.save(Forecast, rows));
 * await dataSync.committed(forecastSync, rows); // from here on this replica reads its own write
 * ```
 */
export class DataSync {
  readonly #parts: DataSyncParts;

  constructor(parts: DataSyncParts) {
    this.#parts = parts;
  }

  /**
   * Tells that rows of these primary keys were committed: call it after the commit, before the answer. When it has resolved, no read on
   * this replica shows less than the commit; other replicas follow one backplane hop later. It also nudges the tracker.
   *
   * @param pks instants in the one text of `utcInstant`; rows may be passed whole, their other columns are not looked at.
   * @throws `SyncNotRegisteredError`; `InvalidKeyTextError` and `InvalidInstantError` for a key that is none; what the database throws, and
   * `CacheStoreUnavailableError` when the store fails. The commit stands in each case: this replica's first level is clean as soon as the stamp was
   * read, and the tracker brings the change to every cache later.
   */
  async committed<Row extends object, Pk extends WireKey>(
    sync: SyncDefinition<Row, Pk>,
    pks: readonly Pk[],
  ): Promise<void> {
    const cache = this.#cacheOf(sync);
    if (pks.length === 0) {
      return;
    }
    try {
      const keys = [...new Set(pks.map((pk) => sync.keyOf(pk)))];
      const version = toEntryVersion(await this.#parts.reader.current());
      // First what cannot fail, for every key: the store may be down, and this replica must not show what it knows to be old.
      keys.forEach((key) => cache.learn(key, version));
      await this.#invalidate(cache, keys, version);
    } finally {
      this.#parts.signal.nudge([sync.table]);
    }
  }

  /** What publishers, appliers, handlers and outboxes of this app have done. */
  stats(): DataSyncStats {
    return this.#parts.activity.stats();
  }

  async #invalidate(cache: VersionedCache<unknown>, keys: readonly string[], version: EntryVersion): Promise<void> {
    const width = this.#parts.committedConcurrency;
    for (let from = 0; from < keys.length; from += width) {
      await Promise.all(keys.slice(from, from + width).map((key) => cache.invalidate(key, version)));
    }
  }

  #cacheOf<Row extends object, Pk extends WireKey>(sync: SyncDefinition<Row, Pk>): VersionedCache<unknown> {
    const { registry, caches } = this.#parts;
    if (registry.get(sync.contract.name)?.sync.table !== sync.table || !caches.has(sync.cache)) {
      throw new SyncNotRegisteredError(sync.contract.name);
    }
    return caches.get(sync.cache);
  }
}
