import { ConsoleLogger, Logger } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { DataSync } from '@smartpulse/data-sync';
import { createNotificationServiceApp } from '@smartpulse/notification-service';
import { createProductionForecastApp } from '@smartpulse/production-forecast';
import { ShutdownCoordinator, type ShutdownReport } from '@smartpulse/resilience';
import { type EmbeddedParts } from './embedded-parts.js';
import { type DemoEnvironment } from './environment.js';
import { leaveBroker } from './leave-broker.js';

/** Both apps in one process, on the same embedded parts. */
export class DemoHost {
  readonly #logger = new Logger(DemoHost.name);

  private constructor(
    private readonly forecasts: NestExpressApplication,
    private readonly notifications: NestExpressApplication,
    private readonly parts: EmbeddedParts,
  ) {}

  /** Starts both apps; they listen when this resolves. */
  static async start(parts: EmbeddedParts, environment: DemoEnvironment): Promise<DemoHost> {
    const { clock, random, broker, installation } = parts;
    // Several apps share the process, so the host stops them, not each one itself; the progress line leaves room for what is wrong only.
    const options = { signals: false as const, logger: new ConsoleLogger({ logLevels: ['warn', 'error', 'fatal'] }) };
    const apps: NestExpressApplication[] = [];
    try {
      const forecasts = await createProductionForecastApp(
        {
          database: parts.forecasts,
          outside: parts.outside,
          broker,
          installation,
          cacheServer: parts.cacheServer,
          clock,
          random,
        },
        options,
      );
      apps.push(forecasts);
      const notifications = await createNotificationServiceApp(
        { database: parts.notifications, broker, installation, clock, random },
        options,
      );
      apps.push(notifications);
      await forecasts.listen(environment.port, environment.host);
      await notifications.listen(environment.notificationPort, environment.host);
      return new DemoHost(forecasts, notifications, parts);
    } catch (error) {
      // What runs already would keep the process for nothing.
      await closeAll([...apps, parts]);
      throw error;
    }
  }

  /** Where ProductionForecast listens. */
  forecastUrl(): Promise<string> {
    return this.forecasts.getUrl();
  }

  /** Where NotificationService listens. */
  notificationUrl(): Promise<string> {
    return this.notifications.getUrl();
  }

  /** What the change feed has done so far. */
  feedFigures(): { readonly envelopes: number; readonly lagP50Ms: number | null } {
    const [sync] = this.forecasts.get(DataSync, { strict: false }).stats().syncs;
    return { envelopes: sync?.publish?.publishedEnvelopes ?? 0, lagP50Ms: sync?.lag?.p50Ms ?? null };
  }

  /** Stops both apps, the writer first, and the parts last; answers how that went. */
  async stop(): Promise<Pick<ShutdownReport, 'clean' | 'leftOver'>> {
    const apps = [this.forecasts, this.notifications];
    if (this.parts.installation !== undefined) {
      (await leaveBroker(apps)).forEach((sentence) => this.#logger.warn(sentence));
    }
    await closeAll([...apps, this.parts]);
    const reports = apps.map((app) => app.get(ShutdownCoordinator).report);
    return {
      clean: reports.every(({ clean }) => clean),
      leftOver: reports.reduce((sum, { leftOver }) => sum + leftOver, 0),
    };
  }
}

/** One after the other, the rest also when one fails; rejects with the first failure. */
async function closeAll(owners: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = [];
  for (const owner of owners) {
    await owner.close().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) {
    throw failures[0];
  }
}
