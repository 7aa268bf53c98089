import { Global, Module, Scope } from '@nestjs/common';
import { Clock, Random, ResilienceRegistry, ShutdownCoordinator } from '@smartpulse/resilience';
import { CacheChannel } from './channel/cache.channel.js';
import { CacheChannels } from './channel/cache.channels.js';
import { ChannelLifecycle } from './channel/channel.lifecycle.js';
import { RedisCacheProbe } from './health/redis-cache.probe.js';
import { RedisCacheClaim } from './redis-cache.claim.js';
import { REDIS_CACHE_OPTIONS, type RedisCacheModuleOptions } from './redis-cache.options.js';
import { CacheConnections } from './registry/cache.connections.js';
import { CacheLifecycle } from './registry/cache.lifecycle.js';
import { CacheRegistry } from './registry/cache.registry.js';
import { RedisTransactions } from './transactions/redis.transactions.js';
import { TransactionsByConnection } from './transactions/transactions-by-connection.js';

/** What there is exactly once in an app: the connections to stores and backplanes, their channels, and the caches by name. */
@Global()
@Module({
  providers: [
    RedisCacheClaim,
    {
      provide: CacheConnections,
      inject: [REDIS_CACHE_OPTIONS, Clock, Random, ResilienceRegistry],
      useFactory: (
        options: RedisCacheModuleOptions,
        clock: Clock,
        random: Random,
        policies: ResilienceRegistry,
      ): Promise<CacheConnections> => CacheConnections.open(options, clock, random, policies),
    },
    {
      provide: CacheRegistry,
      inject: [CacheConnections],
      useFactory: (connections: CacheConnections): CacheRegistry => new CacheRegistry(connections),
    },
    {
      provide: CacheLifecycle,
      inject: [CacheConnections, CacheRegistry, ShutdownCoordinator],
      useFactory: (
        connections: CacheConnections,
        registry: CacheRegistry,
        shutdown: ShutdownCoordinator,
      ): CacheLifecycle => new CacheLifecycle(connections, registry, shutdown),
    },
    {
      provide: CacheChannels,
      inject: [CacheConnections],
      useFactory: (connections: CacheConnections): CacheChannels => new CacheChannels(connections),
    },
    {
      provide: CacheChannel,
      inject: [CacheChannels],
      useFactory: (channels: CacheChannels): CacheChannel => channels.get(),
    },
    {
      provide: ChannelLifecycle,
      inject: [CacheChannels, ShutdownCoordinator],
      useFactory: (channels: CacheChannels, shutdown: ShutdownCoordinator): ChannelLifecycle =>
        new ChannelLifecycle(channels, shutdown),
    },
    {
      provide: TransactionsByConnection,
      inject: [CacheConnections, ResilienceRegistry, ShutdownCoordinator],
      useFactory: (
        connections: CacheConnections,
        policies: ResilienceRegistry,
        shutdown: ShutdownCoordinator,
      ): TransactionsByConnection => new TransactionsByConnection(connections, policies, shutdown),
    },
    {
      provide: RedisTransactions,
      // Made for who injects it, so that it is nobody's mistake where nobody does.
      scope: Scope.TRANSIENT,
      inject: [TransactionsByConnection],
      useFactory: (transactions: TransactionsByConnection): RedisTransactions => transactions.get(),
    },
    {
      provide: RedisCacheProbe,
      inject: [CacheRegistry, CacheChannels],
      useFactory: (registry: CacheRegistry, channels: CacheChannels): RedisCacheProbe =>
        new RedisCacheProbe(registry, channels),
    },
  ],
  exports: [
    RedisCacheClaim,
    CacheRegistry,
    CacheChannel,
    CacheChannels,
    TransactionsByConnection,
    RedisTransactions,
    RedisCacheProbe,
  ],
})
export class RedisCacheCoreModule {}
