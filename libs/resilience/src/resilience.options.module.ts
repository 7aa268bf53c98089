import { type DynamicModule, Module } from '@nestjs/common';
import { checkOptions } from './configuration/check-options.js';
import {
  RESILIENCE_OPTIONS,
  type ResilienceModuleAsyncOptions,
  type ResilienceModuleOptions,
  resilienceOptionsSchema,
} from './resilience.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class ResilienceOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: ResilienceModuleOptions): DynamicModule {
    checkOptions('ResilienceModule.forRoot', resilienceOptionsSchema, options);
    return {
      module: ResilienceOptionsModule,
      global: true,
      providers: [{ provide: RESILIENCE_OPTIONS, useValue: options }],
      exports: [RESILIENCE_OPTIONS],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: ResilienceModuleAsyncOptions): DynamicModule {
    return {
      module: ResilienceOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: RESILIENCE_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<ResilienceModuleOptions> => {
            const made = await options.useFactory(...dependencies);
            checkOptions('ResilienceModule.forRootAsync', resilienceOptionsSchema, made);
            return made;
          },
        },
      ],
      exports: [RESILIENCE_OPTIONS],
    };
  }
}
