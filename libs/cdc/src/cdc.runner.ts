import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { TableHandlerExplorer } from './handlers/table-handler.explorer.js';
import { CdcRegistry } from './registry/cdc.registry.js';
import { OuterTick } from './schedule/outer-tick.js';

/** Starts the trackers when every module is initialised, and stops them first of all at shutdown. */
@Injectable()
export class CdcRunner implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    @Inject(CdcRegistry) private readonly registry: CdcRegistry,
    @Inject(TableHandlerExplorer) private readonly explorer: TableHandlerExplorer,
    @Inject(OuterTick) private readonly tick: OuterTick,
    @Inject(ShutdownCoordinator) private readonly shutdown: ShutdownCoordinator,
  ) {}

  onModuleInit(): void {
    this.shutdown.register({
      name: 'cdc trackers',
      phase: 'intake',
      stop: async ({ signal }) => {
        this.tick.close();
        return this.registry.end(signal);
      },
    });
    this.explorer.explore(this.registry);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.shutdown.isStopping) {
      return;
    }
    await this.tick.open();
    this.registry.begin((tracker) => this.tick.start(tracker));
  }
}
