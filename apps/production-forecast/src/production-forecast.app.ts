import { type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { enableGracefulShutdown } from '@smartpulse/resilience';
import { ProblemFilter } from './http/problem/problem.filter.js';
import { BODY_LIMIT_BYTES } from './production-forecast.limits.js';
import { ProductionForecastModule } from './production-forecast.module.js';
import { type ProductionForecastParts } from './production-forecast.parts.js';

/** How the app behaves in its process. */
export interface AppOptions {
  /** Signals that stop it; `false` = none, for a process that hosts several apps. Default: those of `enableGracefulShutdown`. */
  readonly signals?: readonly NodeJS.Signals[] | false | undefined;
  /** Nest's logger; `false` = silent. */
  readonly logger?: LoggerService | false | undefined;
}

/**
 * Makes the whole HTTP app: body limit, problem details, graceful shutdown. It does not listen yet: `app.listen(port, '127.0.0.1')`, or
 * `app.init()` for a replica without a port. It has no authentication: bind it to loopback.
 */
export async function createProductionForecastApp(
  parts: ProductionForecastParts,
  { signals, logger }: AppOptions = {},
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(ProductionForecastModule.forRoot(parts), {
    bodyParser: false,
    abortOnError: false,
    ...(logger === undefined ? {} : { logger }),
  });
  app.useBodyParser('json', { limit: BODY_LIMIT_BYTES });
  app.disable('x-powered-by');
  // Express would add weak tags to whatever has none.
  app.set('etag', false);
  app.useGlobalFilters(new ProblemFilter());
  enableGracefulShutdown(app, signals === undefined ? {} : { signals });
  return app;
}
