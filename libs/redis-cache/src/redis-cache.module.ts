import { type DynamicModule, type FactoryProvider, Inject, Module } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { cacheToken } from './decorators/inject-cache.decorator.js';
import { type CacheNamespace, isAutoNamespace } from './namespace/define-cache.js';
import { type FieldsNamespace, isFieldsNamespace } from './namespace/define-fields-cache.js';
import { RedisCacheClaim } from './redis-cache.claim.js';
import { RedisCacheCoreModule } from './redis-cache.core.module.js';
import { RedisCacheOptionsModule } from './redis-cache.options.module.js';
import type { RedisCacheModuleAsyncOptions, RedisCacheModuleOptions } from './redis-cache.options.js';
import { RedisCacheFeatureModule } from './redis-cache.feature.module.js';
import { CacheRegistry } from './registry/cache.registry.js';

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
   */
  static forFeature(namespaces: readonly (CacheNamespace<unknown> | FieldsNamespace<unknown>)[]): DynamicModule {
    const providers = namespaces.map((namespace): FactoryProvider => ({
      provide: cacheToken(namespace.name),
      inject: [{ token: CacheRegistry, optional: true }],
      useFactory: (registry: CacheRegistry | undefined) => {
        if (registry === undefined) {
          throw new ConfigurationError(
            'RedisCacheModule.forFeature',
            [{ option: '', problem: 'RedisCacheModule.forRoot was not imported in this app' }],
            'Import RedisCacheModule.forRoot({ url, prefix }) in the root module.',
          );
        }
        if (isFieldsNamespace(namespace)) {
          return registry.openFields(namespace);
        }
        return isAutoNamespace(namespace) ? registry.openAuto(namespace) : registry.open(namespace);
      },
    }));
    return { module: RedisCacheFeatureModule, providers, exports: providers.map(({ provide }) => provide) };
  }
}
