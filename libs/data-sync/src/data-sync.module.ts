import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { DataSyncClaim } from './data-sync.claim.js';
import { DataSyncCoreModule } from './data-sync.core.module.js';
import {
  type DataSyncFeatureOptions,
  type DataSyncModuleAsyncOptions,
  type DataSyncOptions,
  featureOptionsSchema,
} from './data-sync.options.js';
import { DataSyncOptionsModule } from './data-sync.options.module.js';
import { DataSyncRunnerModule } from './data-sync.runner.module.js';
import type { SyncDefinition } from './definition/sync-definition.js';
import { SyncRegistry } from './registry/sync.registry.js';

/** Carries the syncs of one `DataSyncModule.forFeature`. */
@Module({})
export class DataSyncFeatureModule {}

/**
 * Table change → topic → cache and handlers on every replica. Import `forRoot` once, in the root module, beside `ResilienceModule`, `CdcModule`,
 * `PulsarModule` and `RedisCacheModule` (an app that only has `@OnChange` handlers leaves `CdcModule` and `RedisCacheModule` out); name the syncs where they belong with `forFeature`. Global: `DataSync`, `SyncReader`,
 * `DistributedDataSyncService`.
 *
 * @example
 * ```ts
 * @Module({
 *   imports: [
 *     ResilienceModule.forRoot(), CdcModule.forRoot(embeddedCdc(database, dataSource)),
 *     PulsarModule.forRoot({ url: 'memory://' }), RedisCacheModule.forRoot({ url: 'memory://' }),
 *     RedisCacheModule.forFeature([forecastCache]),
 *     DataSyncModule.forRoot({ app: 'production-forecast' }),
 *     DataSyncModule.forFeature([forecastSync], { roles: ['publish', 'apply'] }),
 *   ],
 * })
 * class AppModule {}
 * ```
 */
@Module({})
export class DataSyncModule {
  constructor(@Inject(DataSyncClaim) claim: DataSyncClaim) {
    claim.take();
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  static forRoot(options: DataSyncOptions): DynamicModule {
    return {
      module: DataSyncModule,
      imports: [DataSyncOptionsModule.with(options), DataSyncCoreModule, DataSyncRunnerModule],
    };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: DataSyncModuleAsyncOptions): DynamicModule {
    return {
      module: DataSyncModule,
      imports: [DataSyncOptionsModule.withFactory(options), DataSyncCoreModule, DataSyncRunnerModule],
    };
  }

  /**
   * Adds syncs, and what this app does for them: `publish` (one replica at a time follows the table), `apply` (this replica takes part in
   * keeping the cache right), both, or neither (it only reads and writes: `SyncReader` and `DataSync.committed` work).
   *
   * @throws ConfigurationError for an unknown role; at start where `CdcModule` or `RedisCacheModule` is needed and missing, for a table, topic or contract that is taken, for a cache that is not defined or
   * not `synced`, and when `forRoot` is missing.
   */
  static forFeature(syncs: readonly SyncDefinition[], options: DataSyncFeatureOptions): DynamicModule {
    const owner = 'DataSyncModule.forFeature';
    checkOptions(owner, featureOptionsSchema, options);
    const registration = Symbol('smartpulse:data-sync:registration');
    return {
      module: DataSyncFeatureModule,
      providers: [
        {
          provide: registration,
          inject: [{ token: SyncRegistry, optional: true }],
          useFactory: (registry: SyncRegistry | undefined): true => {
            if (registry === undefined) {
              throw new ConfigurationError(
                owner,
                [{ option: '', problem: 'there is no DataSyncModule.forRoot in this app' }],
                'Import DataSyncModule.forRoot({ app: "<name>" }) once, in the root module.',
              );
            }
            for (const sync of syncs) {
              registry.add(owner, sync, options.roles ?? []);
            }
            if (options.outbox !== undefined) {
              registry.addOutbox(owner, options.outbox);
            }
            return true;
          },
        },
      ],
    };
  }
}
