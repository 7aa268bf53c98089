import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';

/**
 * What stands in for SQL Server, Pulsar and Redis while both apps run in one process: created once, handed to every app, closed after them.
 */
export class EmbeddedParts {
  /** ProductionForecast's tables. */
  readonly forecasts: EmbeddedDatabase;
  /** NotificationService's tables. */
  readonly notifications: EmbeddedDatabase;
  readonly broker: InProcessBroker;
  readonly cacheServer: EmbeddedCacheServer;

  /** @param cacheServer default: a server of its own. */
  constructor(
    readonly clock: Clock,
    readonly random: Random,
    cacheServer: EmbeddedCacheServer = new EmbeddedCacheServer({ clock }),
  ) {
    this.forecasts = EmbeddedDatabase.open({ name: 'forecasts', clock });
    this.notifications = EmbeddedDatabase.open({ name: 'notifications', clock });
    this.broker = new InProcessBroker({ clock, random });
    this.cacheServer = cacheServer;
  }

  /** Closes them all; nobody may use them any more. */
  async close(): Promise<void> {
    await this.broker.close();
    this.cacheServer.close();
    await this.forecasts.close();
    await this.notifications.close();
  }
}
