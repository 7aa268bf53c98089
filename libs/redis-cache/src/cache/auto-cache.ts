import type { CacheHit, LoadContext } from './cache-hit.js';
import type { CacheStats } from './cache.stats.js';
import type { EntryOptions } from './entry-options.js';
import type { VersionedCache } from './versioned-cache.js';

/** Reads a key from a source that has no versions; `undefined`: it has no such thing. */
export type AutoLoader<T> = (context: LoadContext) => Promise<T | undefined>;

/** One of several values to store. */
export interface AutoSetEntry<T> extends EntryOptions {
  readonly key: string;
  readonly value: T | undefined;
}

/**
 * The cache of a namespace with `versioning: 'auto'`, for what has no versions of its own: the store gives them, so that writes are ordered as they reach it, a reader never
 * sees a key go back, and a loader that began before an invalidation stores nothing.
 *
 * What two writers bring is ordered by who came last, not by what they knew: only a version of the source can tell that.
 *
 * @example
 * ```ts
 * const rates = defineCache<Rate>({ name: 'rates', synced: false, versioning: 'auto' });
 * // @InjectCache('rates') private readonly rates: AutoCache<Rate>
 * const { value } = await rates.getOrLoad('EUR', () => bank.rate('EUR'));
 * await rates.invalidate('EUR');
 * ```
 */
export class AutoCache<T> {
  /** @param versioned the cache of the namespace; its registry makes it. */
  constructor(private readonly versioned: VersionedCache<T, 'next'>) {}

  /** The namespace's name. */
  get name(): string {
    return this.versioned.name;
  }

  /** `false` while messages may have been lost: the first level is bypassed, or serves answers flagged stale. */
  get trusted(): boolean {
    return this.versioned.trusted;
  }

  /** See {@link VersionedCache.peek}. */
  peek(key: string): T | undefined {
    return this.versioned.peek(key);
  }

  /** See {@link VersionedCache.get}. */
  get(key: string): Promise<CacheHit<T> | undefined> {
    return this.versioned.get(key);
  }

  /** See {@link VersionedCache.getMany}. */
  getMany(keys: Iterable<string>): Promise<ReadonlyMap<string, CacheHit<T>>> {
    return this.versioned.getMany(keys);
  }

  /**
   * Stores a value in the place of whatever is there; a load under way is refused.
   *
   * @throws as `VersionedCache.set`.
   */
  async set(key: string, value: T | undefined, options?: EntryOptions): Promise<void> {
    await this.versioned.set(key, value, 'next', options);
  }

  /**
   * Stores all of these values in one step; their keys are of one group (`groupOf` of the namespace).
   *
   * @throws as `VersionedCache.setAll`.
   */
  async setAll(entries: readonly AutoSetEntry<T>[]): Promise<void> {
    await this.versioned.setAll(entries.map((entry) => ({ ...entry, version: 'next' })));
  }

  /**
   * The value, from the nearest level, loaded if need be; see {@link VersionedCache.getOrLoad}.
   *
   * @throws as `VersionedCache.getOrLoad`.
   */
  getOrLoad(key: string, loader: AutoLoader<T>, options?: EntryOptions): Promise<CacheHit<T>> {
    return this.versioned.getOrLoad(
      key,
      async (context) => ({ value: await loader(context), version: 'next' }),
      options,
    );
  }

  /**
   * What is cached is old: it goes, and a load under way is refused, for it may have read before. When it has resolved, no read of this replica that begins afterwards
   * shows it.
   *
   * @throws as `VersionedCache.invalidate`.
   */
  async invalidate(key: string): Promise<void> {
    await this.versioned.invalidate(key, 'next');
  }

  /** See {@link VersionedCache.invalidateTag}. */
  invalidateTag(tag: string): Promise<void> {
    return this.versioned.invalidateTag(tag);
  }

  /** See {@link VersionedCache.clear}. */
  clear(): Promise<void> {
    return this.versioned.clear();
  }

  /** What was counted since the cache was opened. */
  stats(): CacheStats {
    return this.versioned.stats();
  }
}
