import { type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { enableGracefulShutdown } from '@smartpulse/resilience';
import { ProblemFilter } from './http/problem/problem.filter.js';
import { NotificationServiceModule } from './notification-service.module.js';
import { type NotificationServiceParts } from './notification-service.parts.js';

/** How the app behaves in its process. */
export interface AppOptions {
  /** Signals that stop it; `false` = none, for a process that hosts several apps. Default: those of `enableGracefulShutdown`. */
  readonly signals?: readonly NodeJS.Signals[] | false | undefined;
  /** Nest's logger; `false` = silent. */
  readonly logger?: LoggerService | false | undefined;
}

/**
 * Makes the whole HTTP app: problem details, graceful shutdown. It does not listen yet: `app.listen(port, '127.0.0.1')`. It has no
 * authentication: bind it to loopback.
 */
export async function createNotificationServiceApp(
  parts: NotificationServiceParts,
  { signals, logger }: AppOptions = {},
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(NotificationServiceModule.forRoot(parts), {
    abortOnError: false,
    ...(logger === undefined ? {} : { logger }),
  });
  app.disable('x-powered-by');
  app.useGlobalFilters(new ProblemFilter());
  enableGracefulShutdown(app, signals === undefined ? {} : { signals });
  return app;
}
