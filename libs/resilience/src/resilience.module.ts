import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ResilientExplorer } from './decorators/resilient.explorer.js';
import { ForRootClaim } from './resilience.claim.js';
import { ResilienceCoreModule } from './resilience.core.module.js';
import { ResilienceOptionsModule } from './resilience.options.module.js';
import type { ResilienceModuleAsyncOptions, ResilienceModuleOptions } from './resilience.options.js';

/**
 * Policies by name, time, chance and the ordered stop of an app. Import it once, in the root module; what it provides is global:
 * {@link ResilienceRegistry}, {@link ShutdownCoordinator}, {@link Clock}, {@link Random}.
 *
 * @example
 * ```ts
 * @Module({ imports: [ResilienceModule.forRoot({ policies: { stock: { attemptTimeoutMs: 2_000 } } })] })
 * class AppModule {}
 * ```
 */
@Module({ imports: [DiscoveryModule], providers: [ResilientExplorer] })
export class ResilienceModule {
  constructor(@Inject(ForRootClaim) claim: ForRootClaim) {
    claim.take();
  }

  /** @throws {@link ConfigurationError} that lists everything that is wrong with the options. */
  static forRoot(options: ResilienceModuleOptions = {}): DynamicModule {
    return { module: ResilienceModule, imports: [ResilienceOptionsModule.with(options), ResilienceCoreModule] };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: ResilienceModuleAsyncOptions): DynamicModule {
    return { module: ResilienceModule, imports: [ResilienceOptionsModule.withFactory(options), ResilienceCoreModule] };
  }
}
