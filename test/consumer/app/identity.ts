// Runs in an app that installed the packed libraries: every entry loads from its build, and each port exists once.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BatchModule, BatchRegistry } from '@smartpulse/batch';
import { CdcModule, CdcRegistry } from '@smartpulse/cdc';
import { DataSyncModule } from '@smartpulse/data-sync';
import { HealthModule } from '@smartpulse/health';
import { PulsarModule, PulsarTransport } from '@smartpulse/pulsar';
import { InProcessTransport } from '@smartpulse/pulsar/in-process';
import { CacheStore, RedisCacheModule } from '@smartpulse/redis-cache';
import { MemoryCacheStore } from '@smartpulse/redis-cache/embedded';
import { Clock, ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';

const clock = new VirtualClock();

@Module({
  imports: [
    ResilienceModule.forRoot({ clock }),
    BatchModule.forRoot(),
    PulsarModule.forRoot({ url: 'memory://' }),
    RedisCacheModule.forRoot({ url: 'memory://' }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const facts = {
  oneClock: app.get(Clock) === clock && new SystemClock() instanceof Clock && clock instanceof Clock,
  onePulsarTransport: InProcessTransport.prototype instanceof PulsarTransport,
  oneCacheStore: MemoryCacheStore.prototype instanceof CacheStore,
  batchFindsTheClock: app.get(BatchRegistry).list().length === 0,
  entries: [CdcModule, CdcRegistry, DataSyncModule, HealthModule].every((entry) => typeof entry === 'function'),
};
await app.close();
console.log(JSON.stringify(facts));
