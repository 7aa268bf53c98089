import { Inject, type InjectionToken } from '@nestjs/common';
import { CacheChannel } from '../channel/cache.channel.js';
import { DEFAULT_CONNECTION } from '../registry/connection-options.js';

/** The injection token of the channel of a connection. It reads as what is missing where a module asks for it without having it. */
export function cacheChannelToken(connection: string): InjectionToken<CacheChannel> {
  return connection === DEFAULT_CONNECTION
    ? CacheChannel
    : `CacheChannel of the connection "${connection}", which RedisCacheModule.forFeature([], { connection: "${connection}" }) provides`;
}

/**
 * Injects the {@link CacheChannel} of a named connection, in a module that imports `RedisCacheModule.forFeature(namespaces, { connection })`. That of the default
 * connection is injected by its class.
 *
 * @throws ConfigurationError at start, when that `forFeature` names a connection that there is not.
 * @example
 * ```ts
 * constructor(@InjectCacheChannel('reports') private readonly channel: CacheChannel) {}
 * ```
 */
export function InjectCacheChannel(connection: string): ReturnType<typeof Inject> {
  return Inject(cacheChannelToken(connection));
}
