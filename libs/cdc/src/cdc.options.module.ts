import { type DynamicModule, Module } from '@nestjs/common';
import { checkOptions } from '@smartpulse/resilience';
import { CDC_OPTIONS, type CdcModuleAsyncOptions, type CdcModuleOptions, cdcOptionsSchema } from './cdc.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class CdcOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: CdcModuleOptions): DynamicModule {
    checkOptions('CdcModule.forRoot', cdcOptionsSchema, options);
    return {
      module: CdcOptionsModule,
      global: true,
      providers: [{ provide: CDC_OPTIONS, useValue: options }],
      exports: [CDC_OPTIONS],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: CdcModuleAsyncOptions): DynamicModule {
    return {
      module: CdcOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: CDC_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<CdcModuleOptions> => {
            const made = await options.useFactory(...dependencies);
            checkOptions('CdcModule.forRootAsync', cdcOptionsSchema, made);
            return made;
          },
        },
      ],
      exports: [CDC_OPTIONS],
    };
  }
}
