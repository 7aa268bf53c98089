import { checkCacheKey } from './cache-key.js';

/**
 * The names of one namespace in the store. Braces around prefix, namespace and key keep everything of one key in one cluster slot.
 */
export class NamespaceNames {
  /** The channel of the backplane. */
  readonly channel: string;
  readonly #before: string;
  readonly #after = '}:v';

  constructor(prefix: string, name: string) {
    checkCacheKey(prefix, 'prefix');
    checkCacheKey(name, 'name');
    this.#before = `{${prefix}:${name}:`;
    this.channel = `${prefix}:${name}:!inv`;
  }

  /** The key's name in the store. */
  stored(key: string): string {
    return this.#before + key + this.#after;
  }

  /** The key behind a name in the store; `undefined` when it belongs to another namespace. */
  key(stored: string): string | undefined {
    return stored.startsWith(this.#before) && stored.endsWith(this.#after)
      ? stored.slice(this.#before.length, -this.#after.length)
      : undefined;
  }
}
