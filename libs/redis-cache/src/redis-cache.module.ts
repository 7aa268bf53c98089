import { type DynamicModule, type FactoryProvider, Inject, Module, Scope } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { CacheChannels } from './channel/cache.channels.js';
import { cacheChannelToken } from './decorators/inject-cache-channel.decorator.js';
import { redisTransactionsToken } from './decorators/inject-redis-transactions.decorator.js';
import { cacheToken } from './decorators/inject-cache.decorator.js';
import { type CacheNamespace, isAutoNamespace } from './namespace/define-cache.js';
import { type FieldsNamespace, isFieldsNamespace } from './namespace/define-fields-cache.js';
import { RedisCacheClaim } from './redis-cache.claim.js';
import { RedisCacheCoreModule } from './redis-cache.core.module.js';
import { RedisCacheOptionsModule } from './redis-cache.options.module.js';
import type {
  RedisCacheFeatureOptions,
  RedisCacheModuleAsyncOptions,
  RedisCacheModuleOptions,
} from './redis-cache.options.js';
import { RedisCacheFeatureModule } from './redis-cache.feature.module.js';
import { CacheRegistry } from './registry/cache.registry.js';
import { TransactionsByConnection } from './transactions/transactions-by-connection.js';
import { DEFAULT_CONNECTION } from './registry/connection-options.js';

/**
 * Two-level caches in which every value carries a version. Import `forRoot` once, in the root module, beside `ResilienceModule.forRoot()`; modules
 * that need a cache import `forFeature`.
 *
 * @example
 * ```ts
 * const prices = defineCache<Price>({ name: 'prices', synced: false });
 *
 * @Module({ imports: [ResilienceModule.forRoot(), RedisCacheModule.forRoot({ url: 'memory://' }), RedisCacheModule.forFeature([prices])] })
 * class AppModule {}
 *
 * class PriceReader {
 *   constructor(@InjectCache('prices') private readonly prices: VersionedCache<Price>) {}
 * }
 * ```
 */
@Module({})
export class RedisCacheModule {
  constructor(@Inject(RedisCacheClaim) claim: RedisCacheClaim) {
    claim.take();
  }

  /**
   * @throws ConfigurationError that lists everything that is wrong with the options; at start CacheStoreUnavailableError when Redis cannot be reached.
   */
  static forRoot(options: RedisCacheModuleOptions): DynamicModule {
    return { module: RedisCacheModule, imports: [RedisCacheOptionsModule.with(options), RedisCacheCoreModule] };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: RedisCacheModuleAsyncOptions): DynamicModule {
    return { module: RedisCacheModule, imports: [RedisCacheOptionsModule.withFactory(options), RedisCacheCoreModule] };
  }

  /**
   * Registers namespaces and makes their caches injectable with `@InjectCache(name)` in the importing module. Several modules may register the
   * same namespace; they get the same cache.
   *
   * @param options `connection`: the caches are on this one of the option `connections` of {@link forRoot}, and its channel is injectable with `@InjectCacheChannel(connection)`, its transactions with
   * `@InjectRedisTransactions(connection)`, also where no namespace is named. Default: the default one.
   * @throws ConfigurationError at start when there is no such connection, or a namespace is on another one already.
   */
  static forFeature(
    namespaces: readonly (CacheNamespace<unknown> | FieldsNamespace<unknown>)[],
    { connection = DEFAULT_CONNECTION }: RedisCacheFeatureOptions = {},
  ): DynamicModule {
    const providers: FactoryProvider[] = namespaces.map((namespace) => ({
      provide: cacheToken(namespace.name),
      inject: [{ token: CacheRegistry, optional: true }],
      useFactory: (registry: CacheRegistry | undefined) => openOn(rooted(registry), namespace, connection),
    }));
    if (connection !== DEFAULT_CONNECTION) {
      providers.push({
        provide: cacheChannelToken(connection),
        inject: [{ token: CacheChannels, optional: true }],
        useFactory: (channels: CacheChannels | undefined) => rooted(channels).get(connection),
      });
      providers.push({
        provide: redisTransactionsToken(connection),
        // Made for who injects it, so that it is nobody's mistake where nobody does.
        scope: Scope.TRANSIENT,
        inject: [{ token: TransactionsByConnection, optional: true }],
        useFactory: (transactions: TransactionsByConnection | undefined) => rooted(transactions).get(connection),
      });
    }
    return { module: RedisCacheFeatureModule, providers, exports: providers.map(({ provide }) => provide) };
  }
}

/** @throws ConfigurationError where `forRoot` is missing in the app. */
function rooted<T>(part: T | undefined): T {
  if (part === undefined) {
    throw new ConfigurationError(
      'RedisCacheModule.forFeature',
      [{ option: '', problem: 'RedisCacheModule.forRoot was not imported in this app' }],
      'Import RedisCacheModule.forRoot({ url, prefix }) in the root module.',
    );
  }
  return part;
}

function openOn(
  registry: CacheRegistry,
  namespace: CacheNamespace<unknown> | FieldsNamespace<unknown>,
  connection: string,
): unknown {
  if (isFieldsNamespace(namespace)) {
    return registry.openFields(namespace, connection);
  }
  return isAutoNamespace(namespace) ? registry.openAuto(namespace, connection) : registry.open(namespace, connection);
}
