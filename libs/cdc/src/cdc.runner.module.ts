import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { CdcRunner } from './cdc.runner.js';
import { TableHandlerExplorer } from './handlers/table-handler.explorer.js';
import { OuterTick } from './schedule/outer-tick.js';

/** What runs: not global, so that it stops before the global modules that it works with. */
@Module({ imports: [DiscoveryModule], providers: [TableHandlerExplorer, OuterTick, CdcRunner] })
export class CdcRunnerModule {}
