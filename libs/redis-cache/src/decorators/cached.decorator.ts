import { Inject } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import type { Loaded } from '../cache/cache-hit.js';
import { checkLife, checkLives, type EntryLives } from '../cache/entry-lives.js';
import type { EntryOptions } from '../cache/entry-options.js';
import { VersionedCache } from '../cache/versioned-cache.js';
import { VersionedFieldsCache } from '../fields/versioned-fields-cache.js';
import { cacheToken } from './inject-cache.decorator.js';

/** A method that reads something from its source, with the stamp that it has. */
type LoadingMethod<A extends unknown[], T> = (...parameters: A) => Promise<Loaded<T>>;

/** Which cache stands in front of a method, under which key, and how long its entries live where the namespace is not to decide. */
export interface CachedOptions<A extends unknown[]> extends EntryLives {
  /** The name of a namespace that `RedisCacheModule.forFeature` registered. */
  readonly cache: string;
  /** The key, from the method's arguments; `cacheKey(...)` escapes what comes from data. */
  readonly key: (...parameters: A) => string;
  /** One life for both levels, in place of `l1TtlMs` and `l2TtlMs`, milliseconds: that of the second; in the first it is that of the namespace, and never longer than this. */
  readonly ttlMs?: number | undefined;
  /** The tags of the entry, from the method's arguments, in a namespace that is `tagged`. */
  readonly tags?: ((...parameters: A) => readonly string[]) | undefined;
}

/** The caches of decorated methods, as Nest sets them on the instance: a place that no other property can have. */
const PLACE = 'smartpulse:cached:';

/**
 * Puts a cache in front of a method of a provider, which then is the loader: it runs when no level has the key, once per process and per lease, and what it
 * answers is stored under its stamp. The caller gets the hit: value, version, and also where it came from (`CacheHit`).
 *
 * An instance that Nest did not make has no cache, and the method runs each time.
 *
 * @throws ConfigurationError when it stands on something else than a method, or its options are wrong.
 * @example
 * ```ts
 * class Prices {
 *   @Cached({ cache: 'prices', key: (unit: string) => cacheKey(unit) })
 *   latest(unit: string): Promise<Loaded<Price>> {
 *     return this.reader.read((manager) => manager.findOneBy(Price, { unit }));
 *   }
 * }
 * const { value } = await prices.latest('U-1');
 * ```
 */
export function Cached<A extends unknown[]>(options: CachedOptions<A>) {
  return <T>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<LoadingMethod<A, T>>,
  ): TypedPropertyDescriptor<LoadingMethod<A, T>> => {
    const { method, place, owner } = prepareCached('@Cached', options, target, name, descriptor);
    const cached = async function (this: object, ...parameters: A): Promise<Loaded<T>> {
      const cache: unknown = Reflect.get(this, place);
      const load = (): Promise<Loaded<T>> => method.apply(this, parameters);
      if (cache === undefined) {
        return load();
      }
      if (!isCache<T>(cache)) {
        throw new ConfigurationError(owner, [{ option: 'cache', problem: problemOf(options.cache, cache) }]);
      }
      return cache.getOrLoad(options.key(...parameters), load, entryOptions(options, parameters));
    };
    return { ...descriptor, value: cached };
  };
}

/**
 * Checks what a method is decorated with, and has Nest set the cache on its instances.
 *
 * @throws ConfigurationError when it stands on something else than a method, or its options are wrong.
 */
export function prepareCached<A extends unknown[], M>(
  decorator: string,
  options: CachedOptions<A>,
  target: object,
  name: string | symbol,
  { value: method }: TypedPropertyDescriptor<M>,
): { readonly method: M; readonly place: string; readonly owner: string } {
  const owner = `${decorator} on ${target.constructor.name}.${String(name)}`;
  const issues = [
    ...(typeof method === 'function' ? [] : [{ option: 'method', problem: 'stands on no method' }]),
    ...(typeof options.cache === 'string' && options.cache !== ''
      ? []
      : [{ option: 'cache', problem: 'expected the name of a namespace' }]),
    ...(typeof options.key === 'function' ? [] : [{ option: 'key', problem: 'expected a function' }]),
    ...(options.tags === undefined || typeof options.tags === 'function'
      ? []
      : [{ option: 'tags', problem: 'expected a function' }]),
  ];
  if (method === undefined || issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  checkLives(owner, options);
  checkTtl(owner, options);
  const place = `${PLACE}${options.cache}`;
  // Nest sets properties that are injected before anybody gets the instance; it does not start when there is no such cache.
  Inject(cacheToken(options.cache))(target, place);
  return { method, place, owner };
}

/** What the cache is told of the entry of a call. */
export function entryOptions<A extends unknown[]>(options: CachedOptions<A>, parameters: A): EntryOptions {
  const { l1TtlMs, ttlMs, l2TtlMs = ttlMs, tags } = options;
  return { l1TtlMs, l2TtlMs, tags: tags?.(...parameters) };
}

function checkTtl(owner: string, { ttlMs, l1TtlMs, l2TtlMs }: CachedOptions<never>): void {
  if (ttlMs === undefined) {
    return;
  }
  const beside = [l1TtlMs === undefined ? [] : ['l1TtlMs'], l2TtlMs === undefined ? [] : ['l2TtlMs']].flat();
  if (beside.length > 0) {
    const problem = `stands for both levels; leave it out, or ${beside.join(' and ')}`;
    throw new ConfigurationError(owner, [{ option: 'ttlMs', problem }]);
  }
  checkLife(owner, 'ttlMs', ttlMs);
}

function problemOf(name: string, cache: unknown): string {
  return cache instanceof VersionedFieldsCache
    ? `"${name}" is a cache of fields; call its getOrLoad`
    : `the store gives the versions of "${name}"; take @CachedValue`;
}

/** A namespace's name says what it holds; that the two agree is up to whoever names it here, as with `@InjectCache`. */
function isCache<T>(candidate: unknown): candidate is VersionedCache<T> {
  return candidate instanceof VersionedCache;
}
