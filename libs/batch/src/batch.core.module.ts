import { Global, Module } from '@nestjs/common';
import { Clock, ConfigurationError, Random, ShutdownCoordinator } from '@smartpulse/resilience';
import { BatchForRootClaim } from './batch.claim.js';
import { BATCH_OPTIONS, type BatchModuleOptions } from './batch.options.js';
import { BatchTelemetry } from './batch.telemetry.js';
import { BatchHealthProbe } from './registry/batch.health-probe.js';
import { BatchRegistry } from './registry/batch.registry.js';

const fromResilience = [Clock, Random, ShutdownCoordinator].map((token) => ({ token, optional: true }));

/** What there is exactly once in an app: the registry of its workers and queues, their probe and their figures. */
@Global()
@Module({
  providers: [
    BatchForRootClaim,
    {
      provide: BatchRegistry,
      inject: [BATCH_OPTIONS, ...fromResilience],
      useFactory: (
        options: BatchModuleOptions,
        clock: Clock | undefined,
        random: Random | undefined,
        shutdown: ShutdownCoordinator | undefined,
      ): BatchRegistry => {
        if (clock === undefined || random === undefined || shutdown === undefined) {
          throw new ConfigurationError(
            'BatchModule.forRoot',
            [{ option: '', problem: 'this app has no Clock, Random and ShutdownCoordinator' }],
            'Import ResilienceModule.forRoot() of @smartpulse/resilience in the root module.',
          );
        }
        return new BatchRegistry({ clock, random }, shutdown, options);
      },
    },
    {
      provide: BatchHealthProbe,
      inject: [BatchRegistry, BATCH_OPTIONS],
      useFactory: (registry: BatchRegistry, options: BatchModuleOptions): BatchHealthProbe =>
        new BatchHealthProbe(registry, options.degradedAboveShare),
    },
    {
      provide: BatchTelemetry,
      // Optional, so that what is missing is said by the registry's sentence and not by Nest's.
      inject: [BatchRegistry, { token: ShutdownCoordinator, optional: true }],
      useFactory: (registry: BatchRegistry, shutdown: ShutdownCoordinator): BatchTelemetry =>
        new BatchTelemetry(registry, shutdown),
    },
  ],
  exports: [BatchForRootClaim, BatchRegistry, BatchHealthProbe],
})
export class BatchCoreModule {}
