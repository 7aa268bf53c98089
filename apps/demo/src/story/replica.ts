import { type LoggerService } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { createProductionForecastApp, type ProductionForecastRole } from '@smartpulse/production-forecast';
import { ForecastClient } from '../feed/forecast.client.js';
import { type EmbeddedParts } from '../hosting/embedded-parts.js';

/** Longer than any run: only the sync may make a cached value right. */
const LONGER_THAN_THE_RUN_MS = 3_600_000;

/** One replica of ProductionForecast that listens on a free port, and a client of it. */
export interface Replica {
  readonly name: string;
  readonly app: NestExpressApplication;
  readonly client: ForecastClient;
}

/** Starts a replica on shared parts; `cacheServer` is the one that it reads and writes. */
export async function startReplica(
  name: string,
  roles: readonly ProductionForecastRole[],
  parts: EmbeddedParts,
  cacheServer: EmbeddedParts['cacheServer'],
  logger: LoggerService | false,
): Promise<Replica> {
  const app = await createProductionForecastApp(
    {
      database: parts.forecasts,
      outside: parts.outside,
      broker: parts.broker,
      installation: parts.installation,
      cacheServer,
      roles,
      replica: name,
      clock: parts.clock,
      random: parts.random,
      cache: {
        l1TtlMs: LONGER_THAN_THE_RUN_MS,
        l2TtlMs: LONGER_THAN_THE_RUN_MS,
        negativeTtlMs: LONGER_THAN_THE_RUN_MS,
      },
    },
    { signals: false, logger },
  );
  await app.listen(0, '127.0.0.1');
  return { name, app, client: new ForecastClient(await app.getUrl()) };
}
