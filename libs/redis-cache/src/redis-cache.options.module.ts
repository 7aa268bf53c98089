import { type DynamicModule, Module } from '@nestjs/common';
import {
  checkRedisCacheOptions,
  REDIS_CACHE_OPTIONS,
  type RedisCacheModuleAsyncOptions,
  type RedisCacheModuleOptions,
} from './redis-cache.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class RedisCacheOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: RedisCacheModuleOptions): DynamicModule {
    return {
      module: RedisCacheOptionsModule,
      global: true,
      providers: [
        { provide: REDIS_CACHE_OPTIONS, useValue: checkRedisCacheOptions('RedisCacheModule.forRoot', options) },
      ],
      exports: [REDIS_CACHE_OPTIONS],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: RedisCacheModuleAsyncOptions): DynamicModule {
    return {
      module: RedisCacheOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: REDIS_CACHE_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<RedisCacheModuleOptions> =>
            checkRedisCacheOptions('RedisCacheModule.forRootAsync', await options.useFactory(...dependencies)),
        },
      ],
      exports: [REDIS_CACHE_OPTIONS],
    };
  }
}
