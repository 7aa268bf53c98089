import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { PulsarClaim } from './pulsar.claim.js';
import { PulsarCoreModule } from './pulsar.core.module.js';
import type { PulsarModuleAsyncOptions, PulsarModuleOptions } from './pulsar.options.js';
import { PulsarOptionsModule } from './pulsar.options.module.js';
import { PulsarRunnerModule } from './pulsar.runner.module.js';

/**
 * Apache Pulsar for an app: {@link PulsarPublisher}, {@link PulsarConsumers}, {@link PulsarRegistry} and the handlers decorated with
 * `@PulsarSubscribe`. Import it once, in the root module, beside `ResilienceModule.forRoot()`; what it provides is global.
 *
 * @example
 * ```ts
 * @Module({ imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url: 'memory://' })], providers: [Mailer] })
 * class AppModule {}
 * ```
 */
@Module({})
export class PulsarModule {
  constructor(@Inject(PulsarClaim) claim: PulsarClaim) {
    claim.take();
  }

  /**
   * @throws ConfigurationError at start, listing everything that is wrong with the options.
   * @throws TransportUnavailableError at start when the transport needs a package that cannot be loaded.
   */
  static forRoot(options: PulsarModuleOptions): DynamicModule {
    return {
      module: PulsarModule,
      imports: [PulsarOptionsModule.with(options), PulsarCoreModule, PulsarRunnerModule],
    };
  }

  /** Like {@link forRoot}, with options that a factory makes. */
  static forRootAsync(options: PulsarModuleAsyncOptions): DynamicModule {
    return {
      module: PulsarModule,
      imports: [PulsarOptionsModule.withFactory(options), PulsarCoreModule, PulsarRunnerModule],
    };
  }
}
