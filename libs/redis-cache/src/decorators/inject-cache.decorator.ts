import { Inject } from '@nestjs/common';

/** The injection token of the cache of this name. */
export function cacheToken(name: string): string {
  return `@smartpulse/redis-cache:${name}`;
}

/**
 * Injects the {@link VersionedCache} of a namespace that `RedisCacheModule.forFeature` registered, or the `VersionedFieldsCache` of one of hashes.
 *
 * @example
 * ```ts
 * constructor(@InjectCache('forecast') private readonly cache: VersionedCache<DayForecast>) {}
 * ```
 */
export function InjectCache(name: string): ReturnType<typeof Inject> {
  return Inject(cacheToken(name));
}
