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
import { OptionalParts } from './supervise/optional-parts.js';
import { SyncActivity } from './supervise/sync.activity.js';

/** What there is exactly once in an app: the registered syncs, what runs of them, and what apps call. */
@Global()
@Module({
  providers: [
    DataSyncClaim,
    SyncRegistry,
    SyncActivity,
    {
      // An app that only handles changes of others has neither a tracked database nor a cache.
      provide: OptionalParts,
      inject: [CdcRegistry, ChangeSource, StampedReader, PollSignal, CacheRegistry].map((token) => ({
        token,
        optional: true,
      })),
      useFactory: (
        cdc: CdcRegistry | undefined,
        source: ChangeSource | undefined,
        reader: StampedReader | undefined,
        signal: PollSignal | undefined,
        caches: CacheRegistry | undefined,
      ): OptionalParts =>
        new OptionalParts(cdc && source && reader && signal && { cdc, source, reader, signal }, caches),
    },
    {
      provide: SyncReader,
      inject: [OptionalParts],
      useFactory: (parts: OptionalParts): SyncReader => new SyncReader(parts.reader('SyncReader')),
    },
    {
      provide: DataSync,
      inject: [SyncRegistry, OptionalParts, SyncActivity, DataSyncSettings],
      useFactory: (
        registry: SyncRegistry,
        parts: OptionalParts,
        activity: SyncActivity,
        { committedConcurrency }: DataSyncSettings,
      ): DataSync =>
        new DataSync({
          registry,
          caches: parts.namedCaches('DataSync.committed'),
          reader: parts.reader('DataSync.committed'),
          signal: parts.signal(),
          activity,
          committedConcurrency,
        }),
    },
    {
      provide: DistributedDataSyncService,
      inject: [
        DataSyncSettings,
        SyncRegistry,
        SyncActivity,
        OptionalParts,
        PulsarConsumers,
        PulsarPublisher,
        PulsarConnection,
        Clock,
      ],
      useFactory: (
        settings: DataSyncSettings,
        registry: SyncRegistry,
        activity: SyncActivity,
        parts: OptionalParts,
        consumers: PulsarConsumers,
        publisher: PulsarPublisher,
        connection: PulsarConnection,
        clock: Clock,
      ): DistributedDataSyncService =>
        new DistributedDataSyncService({
          settings,
          registry,
          activity,
          optional: parts,
          consumers,
          publisher,
          connection,
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
