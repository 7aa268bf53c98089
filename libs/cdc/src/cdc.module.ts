import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { CdcForRootClaim } from './cdc.claim.js';
import { CdcCoreModule } from './cdc.core.module.js';
import { CdcFeatureModule } from './cdc.feature.module.js';
import { CdcOptionsModule } from './cdc.options.module.js';
import type { CdcModuleAsyncOptions, CdcModuleOptions, FeatureTracker } from './cdc.options.js';
import { CdcRunnerModule } from './cdc.runner.module.js';

/**
 * Change capture for an app: adapters, trackers, `@OnTableChange` handlers. Import it once, in the root module, after
 * `ResilienceModule.forRoot()`; what it provides is global: {@link CdcRegistry} and the ports by their class.
 *
 * @example
 * ```ts
 * const database = EmbeddedDatabase.open({ name: 'forecasts', clock });
 * @Module({ imports: [ResilienceModule.forRoot(), CdcModule.forRoot(embeddedCdc(database))] })
 * class AppModule {}
 * ```
 */
@Module({})
export class CdcModule {
  constructor(@Inject(CdcForRootClaim) claim: CdcForRootClaim) {
    claim.take();
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  static forRoot(options: CdcModuleOptions): DynamicModule {
    return { module: CdcModule, imports: [CdcOptionsModule.with(options), CdcCoreModule, CdcRunnerModule] };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: CdcModuleAsyncOptions): DynamicModule {
    return { module: CdcModule, imports: [CdcOptionsModule.withFactory(options), CdcCoreModule, CdcRunnerModule] };
  }

  /**
   * Adds trackers where they belong: in the module that provides their sinks. `@OnTableChange` methods need it not, they are found anyway;
   * a tracker that waits for something first (`startAfter`) is added by `CdcRegistry.track`.
   *
   * @throws ConfigurationError that lists everything that is wrong; at start when `forRoot` or the sink's provider is missing.
   * @throws DuplicateTrackerError at start when the consumer follows the table already.
   * @example
   * ```ts
   * @Module({
   *   imports: [CdcModule.forFeature([{ consumer: 'search', table: 'dbo.product', sink: SearchIndexSink, pageSize: 200 }])],
   *   providers: [SearchIndexSink],
   * })
   * class SearchModule {}
   * ```
   */
  static forFeature(trackers: readonly FeatureTracker[]): DynamicModule {
    return CdcFeatureModule.with(trackers);
  }
}
