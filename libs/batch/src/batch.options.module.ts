import { type DynamicModule, Module } from '@nestjs/common';
import { checkOptions } from '@smartpulse/resilience';
import {
  BATCH_OPTIONS,
  type BatchModuleAsyncOptions,
  type BatchModuleOptions,
  batchOptionsSchema,
} from './batch.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class BatchOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: BatchModuleOptions): DynamicModule {
    checkOptions('BatchModule.forRoot', batchOptionsSchema, options);
    return {
      module: BatchOptionsModule,
      global: true,
      providers: [{ provide: BATCH_OPTIONS, useValue: options }],
      exports: [BATCH_OPTIONS],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: BatchModuleAsyncOptions): DynamicModule {
    return {
      module: BatchOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: BATCH_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<BatchModuleOptions> => {
            const made = await options.useFactory(...dependencies);
            checkOptions('BatchModule.forRootAsync', batchOptionsSchema, made);
            return made;
          },
        },
      ],
      exports: [BATCH_OPTIONS],
    };
  }
}
