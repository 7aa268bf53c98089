import { Global, Module } from '@nestjs/common';
import { Clock, Random, ResilienceRegistry, ShutdownCoordinator } from '@smartpulse/resilience';
import { CacheChannel } from './channel/cache.channel.js';
import { ChannelLifecycle } from './channel/channel.lifecycle.js';
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
      inject: [REDIS_CACHE_OPTIONS, CacheConnection],
      useFactory: (
        options: RedisCacheModuleOptions,
        { prefix, nodeId, clock, random }: CacheConnection,
      ): CacheChannel =>
        new CacheChannel({
          open: () => openChannelTransport(options, clock, random),
          prefix,
          source: nodeId,
          heartbeatMs: options.heartbeatMs ?? REDIS_CACHE_DEFAULTS.heartbeatMs,
          clock,
          random,
        }),
    },
    {
      provide: ChannelLifecycle,
      inject: [CacheChannel, ShutdownCoordinator],
      useFactory: (channel: CacheChannel, shutdown: ShutdownCoordinator): ChannelLifecycle =>
        new ChannelLifecycle(channel, shutdown),
    },
    {
      provide: RedisCacheProbe,
      inject: [CacheRegistry, CacheChannel],
      useFactory: (registry: CacheRegistry, channel: CacheChannel): RedisCacheProbe =>
        new RedisCacheProbe(registry, channel),
    },
  ],
  exports: [RedisCacheClaim, CacheRegistry, CacheChannel, RedisCacheProbe],
})
export class RedisCacheCoreModule {}
