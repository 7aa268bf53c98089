import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { HandlerBinder } from './explorer/handler-binder.js';
import { PulsarExplorer } from './explorer/pulsar.explorer.js';

/** Finds the decorated handlers and subscribes them; not global, so that its hooks precede those of what handlers use. */
@Module({ imports: [DiscoveryModule], providers: [HandlerBinder, PulsarExplorer] })
export class PulsarRunnerModule {}
