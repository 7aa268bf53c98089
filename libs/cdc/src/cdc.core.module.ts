import { Global, Module } from '@nestjs/common';
import { Clock, Random, ShutdownCoordinator } from '@smartpulse/resilience';
import { CdcForRootClaim } from './cdc.claim.js';
import { CdcHealthProbe } from './cdc.health-probe.js';
import { CDC_OPTIONS, type CdcModuleOptions } from './cdc.options.js';
import { CdcTelemetry } from './cdc.telemetry.js';
import { CheckpointStore } from './checkpoint/checkpoint.store.js';
import { Leadership } from './leadership/leadership.js';
import { InProcessPollSignal } from './poll/in-process.poll-signal.js';
import { PollSignal } from './poll/poll-signal.js';
import { CdcRegistry } from './registry/cdc.registry.js';
import { ChangeSource } from './source/change.source.js';
import { AbsentStampedReader } from './stamp/absent.stamped-reader.js';
import { StampedReader } from './stamp/stamped.reader.js';

/** What there is exactly once in an app: the ports' adapters and the trackers. */
@Global()
@Module({
  providers: [
    CdcForRootClaim,
    {
      provide: ChangeSource,
      inject: [CDC_OPTIONS, ShutdownCoordinator],
      useFactory: ({ source }: CdcModuleOptions, shutdown: ShutdownCoordinator): ChangeSource => {
        shutdown.register({ name: `cdc source "${source.name}"`, phase: 'clients', stop: () => source.close() });
        return source;
      },
    },
    {
      provide: CheckpointStore,
      inject: [CDC_OPTIONS],
      useFactory: ({ checkpoints }: CdcModuleOptions): CheckpointStore => checkpoints,
    },
    {
      provide: Leadership,
      inject: [CDC_OPTIONS],
      useFactory: ({ leadership }: CdcModuleOptions): Leadership => leadership,
    },
    {
      provide: PollSignal,
      inject: [CDC_OPTIONS],
      useFactory: ({ pollSignal }: CdcModuleOptions): PollSignal => pollSignal ?? new InProcessPollSignal(),
    },
    {
      provide: StampedReader,
      inject: [CDC_OPTIONS],
      useFactory: ({ stampedReader }: CdcModuleOptions): StampedReader => stampedReader ?? new AbsentStampedReader(),
    },
    {
      provide: CdcRegistry,
      inject: [CDC_OPTIONS, ChangeSource, CheckpointStore, Leadership, PollSignal, Clock, Random],
      useFactory: (
        { tracker }: CdcModuleOptions,
        source: ChangeSource,
        checkpoints: CheckpointStore,
        leadership: Leadership,
        pollSignal: PollSignal,
        clock: Clock,
        random: Random,
      ): CdcRegistry => new CdcRegistry({ source, checkpoints, leadership, pollSignal, clock, random }, tracker),
    },
    CdcHealthProbe,
    CdcTelemetry,
  ],
  exports: [
    CdcForRootClaim,
    ChangeSource,
    CheckpointStore,
    Leadership,
    PollSignal,
    StampedReader,
    CdcRegistry,
    CdcHealthProbe,
  ],
})
export class CdcCoreModule {}
