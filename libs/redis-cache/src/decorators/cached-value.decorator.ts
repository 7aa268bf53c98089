import { ConfigurationError } from '@smartpulse/resilience';
import { AutoCache } from '../cache/auto-cache.js';
import { type CachedOptions, entryOptions, prepareCached } from './cached.decorator.js';

/** A method that reads something from a source that has no versions; where it answers `undefined`, the source has no such thing. */
type ReadingMethod<A extends unknown[], T> = (...parameters: A) => Promise<T>;

/**
 * Like `@Cached`, for a method whose source has no versions, in front of which stands a cache with `versioning: 'auto'`: the method answers a value, and so does the cache.
 *
 * @throws ConfigurationError when it stands on something else than a method, or its options are wrong.
 * @example
 * ```ts
 * class Rates {
 *   @CachedValue({ cache: 'rates', key: (currency: string) => cacheKey(currency), tags: () => ['ecb'] })
 *   rate(currency: string): Promise<number | undefined> {
 *     return this.bank.rate(currency);
 *   }
 * }
 * ```
 */
export function CachedValue<A extends unknown[]>(options: CachedOptions<A>) {
  return <T>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<ReadingMethod<A, T>>,
  ): TypedPropertyDescriptor<ReadingMethod<A, T>> => {
    const { method, place, owner } = prepareCached('@CachedValue', options, target, name, descriptor);
    const cached = async function (this: object, ...parameters: A): Promise<T> {
      const cache: unknown = Reflect.get(this, place);
      const read = (): Promise<T> => method.apply(this, parameters);
      if (cache === undefined) {
        return await read();
      }
      if (!isCache<T>(cache)) {
        throw new ConfigurationError(owner, [
          { option: 'cache', problem: `"${options.cache}" has versions of the source; take @Cached` },
        ]);
      }
      const { value } = await cache.getOrLoad(options.key(...parameters), read, entryOptions(options, parameters));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing is remembered only where the method answers nothing, and then it says so
      return value as T;
    };
    return { ...descriptor, value: cached };
  };
}

/** A namespace's name says what it holds; that the two agree is up to whoever names it here, as with `@InjectCache`. */
function isCache<T>(candidate: unknown): candidate is AutoCache<T> {
  return candidate instanceof AutoCache;
}
