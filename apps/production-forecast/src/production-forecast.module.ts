import { type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { BatchModule } from '@smartpulse/batch';
import { CdcModule } from '@smartpulse/cdc';
import { DataSyncModule } from '@smartpulse/data-sync';
import { HealthModule } from '@smartpulse/health';
import { forecastContracts } from '@smartpulse/production-forecast-contract';
import { PulsarModule, type PulsarModuleOptions } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { CacheChannel, defineCache, RedisCacheModule, type RedisCacheModuleOptions } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { ResilienceModule } from '@smartpulse/resilience';
import { DataSource } from 'typeorm';
import { type DayForecast } from './latest/day-forecast.js';
import { LatestController } from './latest/latest.controller.js';
import { LatestReader } from './latest/latest.reader.js';
import { ALL_ROLES, type ProductionForecastParts } from './production-forecast.parts.js';
import { ForecastSaver } from './save/forecast.saver.js';
import { ForecastWriter } from './save/forecast.writer.js';
import { SaveController } from './save/save.controller.js';
import { forecastCapture } from './storage/forecast.change-capture.js';
import { forecastDataSource } from './storage/forecast.data-source.js';
import { ForecastTracking } from './storage/forecast.tracking.js';
import { OutboxRetention } from './storage/outbox.retention.js';
import { APP_NAME, defineForecastOutbox, defineForecastSync, FORECAST_CACHE, ownName } from './sync/forecast.sync.js';

/** ProductionForecast: forecasts saved over HTTP, synchronised, served from the versioned cache. */
@Module({})
export class ProductionForecastModule {
  /**
   * One replica on the given parts.
   *
   * @example
   * ```ts
   * const app = await NestFactory.create(ProductionForecastModule.forRoot({ database, broker, cacheServer, roles: ['apply'], replica: 'reader-1' }));
   * ```
   */
  static forRoot(parts: ProductionForecastParts): DynamicModule {
    const roles = new Set(parts.roles ?? ALL_ROLES);
    return {
      module: ProductionForecastModule,
      imports: infrastructure(parts),
      controllers: [LatestController, ...(roles.has('write') ? [SaveController] : [])],
      providers: [
        // Several replicas of one process have data sources of different names; inside a replica there is one.
        { provide: DataSource, useExisting: getDataSourceToken(dataSourceName(parts)) },
        { provide: ForecastTracking, useFactory: () => new ForecastTracking(parts.database) },
        LatestReader,
        ...(roles.has('write') ? [ForecastSaver, ForecastWriter] : []),
        ...(roles.has('publish') ? [OutboxRetention] : []),
      ],
    };
  }
}

function infrastructure(parts: ProductionForecastParts): NonNullable<ModuleMetadata['imports']> {
  const roles = parts.roles ?? ALL_ROLES;
  const replica = parts.replica ?? 'main';
  const contracts = forecastContracts(parts.installation);
  return [
    ResilienceModule.forRoot({
      ...(parts.clock === undefined ? {} : { clock: parts.clock }),
      ...(parts.random === undefined ? {} : { random: parts.random }),
    }),
    BatchModule.forRoot(),
    ScheduleModule.forRoot(),
    TypeOrmModule.forRoot(forecastDataSource(parts.database, dataSourceName(parts))),
    PulsarModule.forRoot(pulsarOptions(parts)),
    RedisCacheModule.forRoot({
      ...cacheOptions(parts),
      prefix: ownName(parts.installation),
      nodeId: `${APP_NAME}-${replica}`,
    }),
    RedisCacheModule.forFeature([defineCache<DayForecast>({ ...parts.cache, name: FORECAST_CACHE, synced: true })]),
    CdcModule.forRootAsync({
      inject: [getDataSourceToken(dataSourceName(parts)), CacheChannel],
      useFactory: (dataSource: DataSource, channel: CacheChannel) => ({
        ...forecastCapture(parts, dataSource, channel),
        ...(parts.tracker === undefined ? {} : { tracker: parts.tracker }),
      }),
    }),
    DataSyncModule.forRoot({ app: APP_NAME }),
    DataSyncModule.forFeature([defineForecastSync(contracts.change)], {
      roles: roles.filter((role) => role !== 'write'),
      ...(roles.includes('publish') ? { outbox: defineForecastOutbox(contracts.computed) } : {}),
    }),
    HealthModule.forRoot(),
  ];
}

function pulsarOptions({ broker }: ProductionForecastParts): PulsarModuleOptions {
  return broker instanceof InProcessBroker
    ? { url: 'memory://', transport: new InProcessTransport(broker), ownTransport: true }
    : broker;
}

function cacheOptions({
  cacheServer,
}: ProductionForecastParts): Pick<RedisCacheModuleOptions, 'url' | 'server' | 'freeze'> {
  return cacheServer instanceof EmbeddedCacheServer ? { url: 'memory://', server: cacheServer } : cacheServer;
}

function dataSourceName({ replica = 'main' }: ProductionForecastParts): string {
  return `${APP_NAME}-${replica}`;
}
