import type { EntryVersion } from '../version/entry-version.js';
import type { GivenVersion } from '../store/cache.store.js';
import type { EntryLives } from './entry-lives.js';

/**
 * What a loader answers: the value and the stamp that was read **before** it (or in one snapshot with it). Lives that it names hold before those of the
 * call and of the namespace.
 */
export interface Loaded<T, V extends GivenVersion = EntryVersion> extends EntryLives {
  /** `undefined`: the source has no such thing; it is remembered as a negative entry. */
  readonly value: T | undefined;
  /** The value reflects every commit up to this version, perhaps later ones. */
  readonly version: V;
}

/** What a loader is given. */
export interface LoadContext {
  /** Aborts when the load takes too long or the cache closes: hand it on to the query. */
  readonly signal: AbortSignal;
  /** The lowest version that the store will accept from this load; `EntryVersion.ZERO` = any. */
  readonly floor: EntryVersion;
  /**
   * Tags the entry further, in a namespace that is `tagged`. Await it **before** reading what the tag stands for: an invalidation of the tag from here on makes the entry old.
   */
  tag(...tags: readonly string[]): Promise<void>;
}

/** Reads a key from the source. */
export type Loader<T, V extends GivenVersion = EntryVersion> = (context: LoadContext) => Promise<Loaded<T, V>>;

/** Where an answer came from. */
export type CacheLevel = 'l1' | 'l2' | 'source';

/** An answer of the cache. */
export interface CacheHit<T> {
  /** `undefined`: the source has no such thing (a negative entry). */
  readonly value: T | undefined;
  readonly version: EntryVersion;
  readonly level: CacheLevel;
  /**
   * `true`: the answer stands outside the monotonic promise. The store could not confirm it (it is down, or it refused the load again and
   * again), or the replica serves its first level while it may have missed messages.
   */
  readonly stale: boolean;
  /** Why the source could not be asked, where fail-safe answered with the last known value; `stale` is `true` then. */
  readonly failure?: unknown;
}
