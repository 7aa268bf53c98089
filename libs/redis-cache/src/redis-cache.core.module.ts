import { Global, Module } from '@nestjs/common';
import { Clock, Random, ShutdownCoordinator } from '@smartpulse/resilience';
import { RedisCacheProbe } from './health/redis-cache.probe.js';
import { RedisCacheClaim } from './redis-cache.claim.js';
import { REDIS_CACHE_OPTIONS, type RedisCacheModuleOptions } from './redis-cache.options.js';
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
      inject: [REDIS_CACHE_OPTIONS, Clock, Random],
      useFactory: (options: RedisCacheModuleOptions, clock: Clock, random: Random): Promise<CacheConnection> =>
        CacheConnection.open(options, clock, random),
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
      provide: RedisCacheProbe,
      inject: [CacheRegistry],
      useFactory: (registry: CacheRegistry): RedisCacheProbe => new RedisCacheProbe(registry),
    },
  ],
  exports: [RedisCacheClaim, CacheRegistry, RedisCacheProbe],
})
export class RedisCacheCoreModule {}
