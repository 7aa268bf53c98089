import type { Clock, Policy, Random } from '@smartpulse/resilience';
import type { CacheNamespace } from '../namespace/define-cache.js';
import type { NamespaceNames } from '../namespace/names.js';
import type { CacheStore } from '../store/cache.store.js';
import type { LocalView } from './local-view.js';

/** What a `VersionedCache` is made of. */
export interface VersionedCacheParts<T> {
  readonly namespace: CacheNamespace<T>;
  /** In front of every key and channel. */
  readonly prefix: string;
  /** This replica, in messages; unique among those that share the store. */
  readonly nodeId: string;
  readonly store: CacheStore;
  readonly clock: Clock;
  readonly random: Random;
  /** A circuit in front of the store, shared by all caches on it: while it is open, no call waits for the store. Default: none. */
  readonly breaker?: Policy | undefined;
  /** Freeze what readers share. Default: unless `NODE_ENV` is `production`. */
  readonly freeze?: boolean | undefined;
  /** Told how long each loader took, in milliseconds. */
  readonly onLoaded?: ((durationMs: number) => void) | undefined;
  /** Told the size of each payload that the store took, in bytes. */
  readonly onStored?: ((bytes: number) => void) | undefined;
  /** Told why a value could not be loaded anew before its end, which no caller is. */
  readonly onRefreshFailed?: ((error: unknown) => void) | undefined;
  /** What the replica believes, by its rules. Default: a {@link LocalView}. */
  readonly view?: LocalView<T> | undefined;
  /** Whether the store keeps values beyond their life. Default `true`. */
  readonly keepsOld?: boolean | undefined;
  /** What its keys are called in the store. Default: as values. */
  readonly names?: NamespaceNames | undefined;
}
