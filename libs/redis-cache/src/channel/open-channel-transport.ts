import type { Clock, Random } from '@smartpulse/resilience';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryChannelTransport } from '../embedded/memory.channel-transport.js';
import { REDIS_CACHE_DEFAULTS, type CacheConnectionOptions } from '../redis-cache.options.js';
import { loadRedisAdapter } from '../registry/load-redis-adapter.js';
import type { ChannelTransport } from './channel.transport.js';

/**
 * Opens what the options of a connection name.
 *
 * @throws CacheStoreUnavailableError when Redis cannot be reached; RedisClientMissingError without its package.
 */
export async function openChannelTransport(
  options: CacheConnectionOptions,
  clock: Clock,
  random: Random,
): Promise<ChannelTransport> {
  if (options.url?.startsWith('memory:') === true) {
    return new MemoryChannelTransport(options.server ?? new EmbeddedCacheServer({ clock }));
  }
  const {
    url,
    client,
    prefix = REDIS_CACHE_DEFAULTS.prefix,
    connectTimeoutMs = REDIS_CACHE_DEFAULTS.connectTimeoutMs,
    heartbeatMs = REDIS_CACHE_DEFAULTS.heartbeatMs,
  } = options;
  const { RedisChannelTransport, RedisLink } = await loadRedisAdapter();
  const link = new RedisLink({ url, client, prefix, connectTimeoutMs, heartbeatMs, clock, random });
  const transport = new RedisChannelTransport(link);
  await link.connect();
  return transport;
}
