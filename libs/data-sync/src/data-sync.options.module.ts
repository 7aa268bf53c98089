import { type DynamicModule, Module } from '@nestjs/common';
import { checkOptions } from '@smartpulse/resilience';
import {
  type DataSyncModuleAsyncOptions,
  type DataSyncOptions,
  dataSyncOptionsSchema,
  DataSyncSettings,
  resolveDataSyncOptions,
} from './data-sync.options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class DataSyncOptionsModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(options: DataSyncOptions): DynamicModule {
    checkOptions('DataSyncModule.forRoot', dataSyncOptionsSchema, options);
    return {
      module: DataSyncOptionsModule,
      global: true,
      providers: [{ provide: DataSyncSettings, useValue: resolveDataSyncOptions(options) }],
      exports: [DataSyncSettings],
    };
  }

  /** @throws ConfigurationError at start when the options that the factory made are wrong. */
  static withFactory(options: DataSyncModuleAsyncOptions): DynamicModule {
    return {
      module: DataSyncOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: DataSyncSettings,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<DataSyncSettings> => {
            const made = await options.useFactory(...dependencies);
            checkOptions('DataSyncModule.forRootAsync', dataSyncOptionsSchema, made);
            return resolveDataSyncOptions(made);
          },
        },
      ],
      exports: [DataSyncSettings],
    };
  }
}
