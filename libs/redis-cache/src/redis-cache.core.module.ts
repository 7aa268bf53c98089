import { Global, Module } from '@nestjs/common';
import { Clock, Random, ResilienceRegistry, ShutdownCoordinator } from '@smartpulse/resilience';
import { CacheChannel } from './channel/cache.channel.js';
import { registerChannelShutdown } from './channel/channel-shutdown.js';
import { openChannelTransport } from './channel/open-channel-transport.js';
import { RedisCacheProbe } from './health/redis-cache.probe.js';
import { RedisCacheClaim } from './redis-cache.claim.js';
import { REDIS_CACHE_DEFAULTS, REDIS_CACHE_OPTIONS, type RedisCacheModuleOptions } from './redis-cache.options.js';
import { CacheConnection } from './registry/cache.connection.js';
import { CacheLifecycle } from './registry/cache.lifecycle.js';
import { CacheRegistry } from './registry/cache.registry.js';

/** What there is exactly once in an app: the connection to store and backplane, and the caches by name. */
@Global()
@Module({
  providers: [
    RedisCacheClaim,
    {
      provide: CacheConnection,
      inject: [REDIS_CACHE_OPTIONS, Clock, Random, ResilienceRegistry],
      useFactory: (
        options: RedisCacheModuleOptions,
        clock: Clock,
        random: Random,
        policies: ResilienceRegistry,
      ): Promise<CacheConnection> => CacheConnection.open(options, clock, random, policies),
    },
    {
      provide: CacheRegistry,
      inject: [CacheConnection],
      useFactory: (connection: CacheConnection): CacheRegistry => new CacheRegistry(connection),
    },
    {
      provide: CacheLifecycle,
      inject: [CacheConnection, CacheRegistry, ShutdownCoordinator],
      useFactory: (
        connection: CacheConnection,
        registry: CacheRegistry,
        shutdown: ShutdownCoordinator,
      ): CacheLifecycle => new CacheLifecycle(connection, registry, shutdown),
    },
    {
      provide: CacheChannel,
      inject: [REDIS_CACHE_OPTIONS, CacheConnection, ShutdownCoordinator],
      useFactory: (
        options: RedisCacheModuleOptions,
        { prefix, nodeId, clock, random }: CacheConnection,
        shutdown: ShutdownCoordinator,
      ): CacheChannel => {
        const channel = new CacheChannel({
          open: () => openChannelTransport(options, clock, random),
          prefix,
          source: nodeId,
          heartbeatMs: options.heartbeatMs ?? REDIS_CACHE_DEFAULTS.heartbeatMs,
          clock,
          random,
        });
        registerChannelShutdown(channel, shutdown);
        return channel;
      },
    },
    {
      provide: RedisCacheProbe,
      inject: [CacheRegistry],
      useFactory: (registry: CacheRegistry): RedisCacheProbe => new RedisCacheProbe(registry),
    },
  ],
  exports: [RedisCacheClaim, CacheRegistry, CacheChannel, RedisCacheProbe],
})
export class RedisCacheCoreModule {}
