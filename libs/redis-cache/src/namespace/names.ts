import type { StoredKeys } from '../store/cache.store.js';
import { checkCacheKey } from './cache-key.js';

/**
 * The names of one namespace in the store. Braces around prefix, namespace and key keep everything of one key in one cluster slot.
 */
export class NamespaceNames {
  /** The channel of the backplane. */
  readonly channel: string;
  /** What the keys of the namespace, and no others, begin and end with. */
  readonly keys: StoredKeys;

  /** @param form how its entries are kept: `v` as values, `f` as hashes of fields. */
  constructor(prefix: string, name: string, form: 'v' | 'f' = 'v') {
    checkCacheKey(prefix, 'prefix');
    checkCacheKey(name, 'name');
    this.keys = { before: `{${prefix}:${name}:`, after: `}:${form}` };
    this.channel = `${prefix}:${name}:!inv`;
  }

  /** The key's name in the store. */
  stored(key: string): string {
    return this.keys.before + key + this.keys.after;
  }

  /** The key behind a name in the store; `undefined` when it belongs to another namespace. */
  key(stored: string): string | undefined {
    const { before, after } = this.keys;
    return stored.startsWith(before) && stored.endsWith(after) ? stored.slice(before.length, -after.length) : undefined;
  }
}
