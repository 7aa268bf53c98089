import { ConfigurationError } from '@smartpulse/resilience';
import { checkCacheKey } from '../namespace/cache-key.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import { checkLives, type EntryLives } from './entry-lives.js';

/** How one entry differs from what its namespace says. */
export interface EntryOptions extends EntryLives {
  /** In a namespace that is `tagged`: `invalidateTag` of any of them makes the entry old. At most 64. */
  readonly tags?: readonly string[] | undefined;
}

/** What a namespace says about entries. */
type EntryRules = Pick<CacheNamespace<never>, 'name' | 'tagged' | 'populate' | 'tombstoneTtlMs'>;

/** Tags that one entry may carry, one of them the namespace's own. */
export const MAX_TAGS = 64;

/** @throws ConfigurationError that names the option; {@link InvalidCacheKeyError} of a tag. */
export function checkEntryOptions(owner: string, namespace: EntryRules, options: EntryOptions): void {
  checkLives(owner, options);
  const { tags = [], l2TtlMs } = options;
  const refuse = (option: string, problem: string): never => {
    throw new ConfigurationError(owner, [{ option, problem }]);
  };
  if (namespace.populate && l2TtlMs !== undefined && l2TtlMs * 0.9 < namespace.tombstoneTtlMs) {
    refuse('l2TtlMs', `shorter than the tombstones of "${namespace.name}": a late change would find the entry expired`);
  }
  if (tags.length > 0) {
    checkTags(owner, namespace, tags);
  }
}

/** @throws ConfigurationError where the namespace has no tags, or there are too many; {@link InvalidCacheKeyError} of a tag. */
export function checkTags(owner: string, namespace: EntryRules, tags: readonly string[]): void {
  if (!namespace.tagged) {
    throw new ConfigurationError(owner, [
      { option: 'tags', problem: `the cache "${namespace.name}" has none; give it tagged: true in defineCache` },
    ]);
  }
  if (tags.length >= MAX_TAGS) {
    throw new ConfigurationError(owner, [
      { option: 'tags', problem: `expected fewer than ${MAX_TAGS}, got ${tags.length}` },
    ]);
  }
  tags.forEach((tag) => checkCacheKey(tag, 'tag'));
}
