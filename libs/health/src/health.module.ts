import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController } from './endpoints/health.controller.js';
import { ProcessController } from './endpoints/process.controller.js';
import { HealthForRootClaim } from './health.claim.js';
import { HealthCoreModule } from './health.core.module.js';
import type { HealthModuleAsyncOptions, HealthModuleOptions } from './health.options.js';
import { HealthOptionsModule } from './health.options.module.js';

/**
 * `/health`, `/health/live`, `/health/ready` and `/health/startup` over every provider of the app that extends `HealthProbe`. Needs
 * `ResilienceModule.forRoot()` in the same app.
 *
 * @example
 * ```ts
 * @Module({ imports: [ResilienceModule.forRoot(), HealthModule.forRoot()] })
 * class AppModule {}
 * ```
 */
// Terminus's own log of every 503 would repeat what the sampler says once at the change.
@Module({
  imports: [HealthCoreModule, TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController, ProcessController],
})
export class HealthModule {
  constructor(@Inject(HealthForRootClaim) claim: HealthForRootClaim) {
    claim.take();
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  static forRoot(options: HealthModuleOptions = {}): DynamicModule {
    return { module: HealthModule, imports: [HealthOptionsModule.with(options)] };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: HealthModuleAsyncOptions): DynamicModule {
    return { module: HealthModule, imports: [HealthOptionsModule.withFactory(options)] };
  }
}
