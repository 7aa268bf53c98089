import { type DynamicModule, Module } from '@nestjs/common';
import {
  PULSAR_OPTIONS,
  type PulsarModuleAsyncOptions,
  type PulsarModuleOptions,
  type ResolvedPulsarOptions,
} from './pulsar.options.js';
import { resolveOptions } from './transport/resolve-options.js';

/** Carries the checked options to the static core module. */
@Module({})
export class PulsarOptionsModule {
  /** Wrong options are an error of the module's factory, at start, so that nothing is thrown while modules are declared. */
  static with(options: PulsarModuleOptions): DynamicModule {
    return {
      module: PulsarOptionsModule,
      global: true,
      providers: [
        {
          provide: PULSAR_OPTIONS,
          useFactory: (): ResolvedPulsarOptions => resolveOptions('PulsarModule.forRoot', options),
        },
      ],
      exports: [PULSAR_OPTIONS],
    };
  }

  static withFactory(options: PulsarModuleAsyncOptions): DynamicModule {
    return {
      module: PulsarOptionsModule,
      global: true,
      imports: options.imports ?? [],
      providers: [
        {
          provide: PULSAR_OPTIONS,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]): Promise<ResolvedPulsarOptions> =>
            resolveOptions('PulsarModule.forRootAsync', await options.useFactory(...dependencies)),
        },
      ],
      exports: [PULSAR_OPTIONS],
    };
  }
}
