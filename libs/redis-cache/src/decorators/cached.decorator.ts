import { Inject } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import type { Loaded } from '../cache/cache-hit.js';
import { checkLives, type EntryLives } from '../cache/entry-lives.js';
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
    const { value: method } = descriptor;
    const owner = `@Cached on ${target.constructor.name}.${String(name)}`;
    const issues = [
      ...(typeof method === 'function' ? [] : [{ option: 'method', problem: 'stands on no method' }]),
      ...(typeof options.cache === 'string' && options.cache !== ''
        ? []
        : [{ option: 'cache', problem: 'expected the name of a namespace' }]),
      ...(typeof options.key === 'function' ? [] : [{ option: 'key', problem: 'expected a function' }]),
    ];
    if (method === undefined || issues.length > 0) {
      throw new ConfigurationError(owner, issues);
    }
    checkLives(owner, options);
    const place = `${PLACE}${options.cache}`;
    // Nest sets properties that are injected before anybody gets the instance; it does not start when there is no such cache.
    Inject(cacheToken(options.cache))(target, place);
    const cached = async function (this: object, ...parameters: A): Promise<Loaded<T>> {
      const cache: unknown = Reflect.get(this, place);
      const load = (): Promise<Loaded<T>> => method.apply(this, parameters);
      if (cache instanceof VersionedFieldsCache) {
        throw new ConfigurationError(owner, [
          { option: 'cache', problem: `"${options.cache}" is a cache of fields; call its getOrLoad` },
        ]);
      }
      return isCache<T>(cache) ? cache.getOrLoad(options.key(...parameters), load, options) : load();
    };
    return { ...descriptor, value: cached };
  };
}

/** A namespace's name says what it holds; that the two agree is up to whoever names it here, as with `@InjectCache`. */
function isCache<T>(candidate: unknown): candidate is VersionedCache<T> {
  return candidate instanceof VersionedCache;
}
