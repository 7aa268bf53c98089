import { type DynamicModule, Module } from '@nestjs/common';
import { checkOptions } from '@smartpulse/resilience';
import {
  HEALTH_OPTIONS,
  type HealthModuleAsyncOptions,
  type HealthModuleOptions,
  healthOptionsSchema,
  resolveHealthOptions,
  type ResolvedHealthOptions,
} from './health.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class HealthOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: HealthModuleOptions): DynamicModule {
    checkOptions('HealthModule.forRoot', healthOptionsSchema, options);
    return {
      module: HealthOptionsModule,
      global: true,
      providers: [{ provide: HEALTH_OPTIONS, useValue: resolveHealthOptions(options) }],
      exports: [HEALTH_OPTIONS],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: HealthModuleAsyncOptions): DynamicModule {
    return {
      module: HealthOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: HEALTH_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<ResolvedHealthOptions> => {
            const made = await options.useFactory(...dependencies);
            checkOptions('HealthModule.forRootAsync', healthOptionsSchema, made);
            return resolveHealthOptions(made);
          },
        },
      ],
      exports: [HEALTH_OPTIONS],
    };
  }
}
