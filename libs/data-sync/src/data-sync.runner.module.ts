import { Inject, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { ChangeHandlerExplorer } from './on-change/change-handler.explorer.js';
import { DistributedDataSyncService } from './supervise/distributed-data-sync.service.js';

/** Sets syncs and handlers up when every module is there; cdc and pulsar start what was set up when the app has started. */
@Injectable()
export class DataSyncRunner implements OnModuleInit {
  constructor(
    @Inject(DistributedDataSyncService) private readonly service: DistributedDataSyncService,
    @Inject(ChangeHandlerExplorer) private readonly explorer: ChangeHandlerExplorer,
    @Inject(ShutdownCoordinator) private readonly shutdown: ShutdownCoordinator,
  ) {}

  async onModuleInit(): Promise<void> {
    this.shutdown.register({ name: 'data-sync waits', phase: 'intake', stop: () => this.service.end() });
    this.explorer.explore();
    await this.service.begin();
  }
}

/** What runs: not global, so that it stops before the global modules that it works with. */
@Module({ imports: [DiscoveryModule], providers: [ChangeHandlerExplorer, DataSyncRunner] })
export class DataSyncRunnerModule {}
