import type { ChangeVersion } from '@smartpulse/cdc';
import { EntryVersion } from '@smartpulse/redis-cache';

/**
 * The stamp of a commit as the version of a cache entry.
 *
 * @example
 * ```ts
 * await cache.invalidate(key, toEntryVersion(await reader.current()));
 * ```
 */
export function toEntryVersion(stamp: ChangeVersion): EntryVersion {
  return new EntryVersion(stamp.epoch, stamp.version);
}
