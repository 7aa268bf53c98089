import { Global, Module } from '@nestjs/common';
import { CdcRegistry, ChangeSource, PollSignal, StampedReader } from '@smartpulse/cdc';
import { PulsarConnection, PulsarConsumers, PulsarPublisher } from '@smartpulse/pulsar';
import { CacheRegistry } from '@smartpulse/redis-cache';
import { Clock, ShutdownCoordinator } from '@smartpulse/resilience';
import { DataSync } from './committed/data-sync.js';
import { DataSyncClaim } from './data-sync.claim.js';
import { DataSyncSettings } from './data-sync.options.js';
import { DataSyncTelemetry } from './data-sync.telemetry.js';
import { SyncReader } from './read/sync.reader.js';
import { SyncRegistry } from './registry/sync.registry.js';
import { DataSyncHealthProbe } from './supervise/data-sync.health-probe.js';
import { DistributedDataSyncService } from './supervise/distributed-data-sync.service.js';
import { SyncActivity } from './supervise/sync.activity.js';

/** What there is exactly once in an app: the registered syncs, what runs of them, and what apps call. */
@Global()
@Module({
  providers: [
    DataSyncClaim,
    SyncRegistry,
    SyncActivity,
    {
      provide: SyncReader,
      inject: [StampedReader],
      useFactory: (reader: StampedReader): SyncReader => new SyncReader(reader),
    },
    {
      provide: DataSync,
      inject: [SyncRegistry, CacheRegistry, StampedReader, PollSignal, SyncActivity, DataSyncSettings],
      useFactory: (
        registry: SyncRegistry,
        caches: CacheRegistry,
        reader: StampedReader,
        signal: PollSignal,
        activity: SyncActivity,
        { committedConcurrency }: DataSyncSettings,
      ): DataSync => new DataSync({ registry, caches, reader, signal, activity, committedConcurrency }),
    },
    {
      provide: DistributedDataSyncService,
      inject: [
        DataSyncSettings,
        SyncRegistry,
        SyncActivity,
        CdcRegistry,
        ChangeSource,
        StampedReader,
        PulsarConsumers,
        PulsarPublisher,
        PulsarConnection,
        CacheRegistry,
        Clock,
      ],
      useFactory: (
        settings: DataSyncSettings,
        registry: SyncRegistry,
        activity: SyncActivity,
        cdc: CdcRegistry,
        source: ChangeSource,
        reader: StampedReader,
        consumers: PulsarConsumers,
        publisher: PulsarPublisher,
        connection: PulsarConnection,
        caches: CacheRegistry,
        clock: Clock,
      ): DistributedDataSyncService =>
        new DistributedDataSyncService({
          settings,
          registry,
          activity,
          cdc,
          source,
          reader,
          consumers,
          publisher,
          connection,
          caches,
          clock,
        }),
    },
    {
      provide: DataSyncHealthProbe,
      inject: [SyncActivity],
      useFactory: (activity: SyncActivity): DataSyncHealthProbe => new DataSyncHealthProbe(activity),
    },
    {
      provide: DataSyncTelemetry,
      inject: [SyncActivity, ShutdownCoordinator],
      useFactory: (activity: SyncActivity, shutdown: ShutdownCoordinator): DataSyncTelemetry =>
        new DataSyncTelemetry(activity, shutdown),
    },
  ],
  exports: [
    DataSyncClaim,
    SyncRegistry,
    SyncActivity,
    SyncReader,
    DataSync,
    DistributedDataSyncService,
    DataSyncHealthProbe,
  ],
})
export class DataSyncCoreModule {}
