import { type CdcModuleOptions } from '@smartpulse/cdc';
import { EmbeddedDatabase, embeddedCdc } from '@smartpulse/cdc/embedded';
import { sqlServerCdc } from '@smartpulse/cdc/sql-server';
import { ChannelPollSignal, withOutsideCopy } from '@smartpulse/data-sync';
import { type CacheChannel } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type DataSource } from 'typeorm';
import { type ProductionForecastParts } from '../production-forecast.parts.js';
import { APP_NAME } from '../sync/forecast.sync.js';

type CaptureParts = Pick<CdcModuleOptions, 'source' | 'checkpoints' | 'leadership' | 'pollSignal' | 'stampedReader'>;

/** How a replica follows its tables. On a shared cache a writer wakes the tracker on any replica; in one process the database itself does. */
export function forecastCapture(
  parts: ProductionForecastParts,
  dataSource: DataSource,
  channel: CacheChannel,
): CaptureParts {
  const { outside, cacheServer, clock } = parts;
  const alone = captureOf(parts, dataSource);
  const captured = outside === undefined ? alone : withOutsideCopy(alone, outside);
  return cacheServer instanceof EmbeddedCacheServer
    ? captured
    : { ...captured, pollSignal: new ChannelPollSignal(channel, captured.pollSignal, { clock }) };
}

function captureOf({ database, clock, replica }: ProductionForecastParts, dataSource: DataSource): CaptureParts {
  if (database instanceof EmbeddedDatabase) {
    return embeddedCdc(database, dataSource);
  }
  return sqlServerCdc(
    {
      name: APP_NAME,
      url: database.url,
      applicationName: `${APP_NAME}-cdc`,
      clock,
      ...(replica === undefined ? {} : { owner: replica }),
    },
    dataSource,
  );
}
