import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type BrokerAddress } from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';

/** A broker that outlives the process, and what tells this run apart from all others on it. */
export interface SharedBroker {
  readonly address: BrokerAddress;
  /** Begins the names of topics and cache keys: databases of a run begin empty, and so must what they are compared with. */
  readonly installation: string;
}

/** What is not the default. */
export interface EmbeddedPartsOptions {
  /** Default: a server of its own. */
  readonly cacheServer?: EmbeddedCacheServer | undefined;
  /** Default: a broker in this process. */
  readonly sharedBroker?: SharedBroker | undefined;
}

/**
 * What stands in for SQL Server and Redis, and for Pulsar where no broker is named, while both apps run in one process: created once, handed to every app, closed after them.
 */
export class EmbeddedParts {
  /** ProductionForecast's tables. */
  readonly forecasts: EmbeddedDatabase;
  /** NotificationService's tables. */
  readonly notifications: EmbeddedDatabase;
  /** The embedded broker or the address of a real one. */
  readonly broker: InProcessBroker | BrokerAddress;
  readonly installation: string | undefined;
  readonly cacheServer: EmbeddedCacheServer;

  constructor(
    readonly clock: Clock,
    readonly random: Random,
    { cacheServer = new EmbeddedCacheServer({ clock }), sharedBroker }: EmbeddedPartsOptions = {},
  ) {
    this.forecasts = EmbeddedDatabase.open({ name: 'forecasts', clock });
    this.notifications = EmbeddedDatabase.open({ name: 'notifications', clock });
    this.broker = sharedBroker?.address ?? new InProcessBroker({ clock, random });
    this.installation = sharedBroker?.installation;
    this.cacheServer = cacheServer;
  }

  /** One sentence for the start: what is in this process and what is not. */
  describe(): string {
    return this.broker instanceof InProcessBroker
      ? 'Embedded in this process: database, broker and cache'
      : `Embedded in this process: database and cache. Pulsar is at ${this.broker.url}, namespace ${this.broker.namespace}, topics ${this.installation}-*`;
  }

  /** Closes them all; nobody may use them any more. */
  async close(): Promise<void> {
    if (this.broker instanceof InProcessBroker) {
      await this.broker.close();
    }
    this.cacheServer.close();
    await this.forecasts.close();
    await this.notifications.close();
  }
}
