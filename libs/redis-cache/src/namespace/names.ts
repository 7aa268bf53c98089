import type { StoredKeys } from '../store/cache.store.js';
import { checkCacheKey } from './cache-key.js';

const TAG_END = '}:t';

/**
 * The names of one namespace in the store. Braces around prefix, namespace and key keep everything of one key in one cluster slot.
 */
export class NamespaceNames {
  /** The channel of the backplane. */
  readonly channel: string;
  /** What the keys of the namespace, and no others, begin and end with. */
  readonly keys: StoredKeys;

  /**
   * @param form how its entries are kept: `v` as values, `f` as hashes of fields.
   * @param groupOf the group of a key: those of one group are in one slot.
   */
  constructor(
    prefix: string,
    name: string,
    form: 'v' | 'f' = 'v',
    private readonly groupOf?: ((key: string) => string) | undefined,
  ) {
    checkCacheKey(prefix, 'prefix');
    checkCacheKey(name, 'name');
    this.keys = { before: `{${prefix}:${name}:`, after: `}:${form}` };
    this.channel = `${prefix}:${name}:!inv`;
  }

  /** The key's name in the store. */
  stored(key: string): string {
    if (this.groupOf === undefined) {
      return this.keys.before + key + this.keys.after;
    }
    const group = this.groupOf(key);
    checkCacheKey(group, 'group');
    return `${this.keys.before}${group}}${key}${this.keys.after}`;
  }

  /** The key behind a name in the store; `undefined` when it belongs to another namespace. */
  key(stored: string): string | undefined {
    const { before, after } = this.keys;
    if (!stored.startsWith(before) || !stored.endsWith(after)) {
      return undefined;
    }
    const named = stored.slice(before.length, -after.length);
    return this.groupOf === undefined ? named : named.slice(named.indexOf('}') + 1);
  }

  /** Whether stored names are in one slot of a cluster for certain: what is between their first braces decides. */
  inOneSlot(stored: readonly string[]): boolean {
    return new Set(stored.map((name) => name.slice(0, name.indexOf('}')))).size <= 1;
  }

  /** The name of a tag in the store. */
  tag(tag: string): string {
    return this.keys.before + tag + TAG_END;
  }

  /** The tag behind a name in the store; `undefined` when it is none of this namespace. */
  tagOf(stored: string): string | undefined {
    const { before } = this.keys;
    return stored.startsWith(before) && stored.endsWith(TAG_END)
      ? stored.slice(before.length, -TAG_END.length)
      : undefined;
  }
}
