import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  type BrokerAddress,
  type CacheAddress,
  type DatabaseAddress,
  ForecastDatabase,
} from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';
import { RunDatabase } from './run-database.js';

/** Servers that outlive the process, and what tells this run apart from all others on them. */
export interface SharedServers {
  readonly broker: BrokerAddress | undefined;
  readonly cache: CacheAddress | undefined;
  /** A SQL Server, on which the run gets a database of its own. */
  readonly database: DatabaseAddress | undefined;
  /** Begins the names of topics and cache keys, and names the database: a run begins empty, and so must what it is compared with. */
  readonly installation: string;
}

/** What is not the default. */
export interface EmbeddedPartsOptions {
  /** Default: that of `shared`, or a server of its own. */
  readonly cacheServer?: EmbeddedCacheServer | undefined;
  /** Default: broker and cache in this process. */
  readonly shared?: SharedServers | undefined;
}

/**
 * What stands in for SQL Server, Redis and Pulsar, where none is named, and the addresses of those that are, while both apps run in one process: created once, handed to every app, closed after them.
 */
export class EmbeddedParts {
  /** ProductionForecast's tables: the embedded database or the address of a SQL Server. */
  readonly forecasts: EmbeddedDatabase | DatabaseAddress;
  /** NotificationService's tables. */
  readonly notifications: EmbeddedDatabase | DatabaseAddress;
  /** The embedded broker or the address of a real one. */
  readonly broker: InProcessBroker | BrokerAddress;
  readonly installation: string | undefined;
  /** The embedded cache server or the address of a Redis. */
  readonly cacheServer: EmbeddedCacheServer | CacheAddress;
  /** What a Redis knows of ProductionForecast's tables; `undefined` = there is none. */
  readonly outside: ForecastDatabase['outside'];

  private constructor(
    readonly clock: Clock,
    readonly random: Random,
    { cacheServer, shared }: EmbeddedPartsOptions,
    private readonly opened: ForecastDatabase,
    private readonly run: RunDatabase | undefined,
  ) {
    this.forecasts = opened.database;
    this.outside = opened.outside;
    this.notifications = run?.address ?? EmbeddedDatabase.open({ name: 'notifications', clock });
    this.broker = shared?.broker ?? new InProcessBroker({ clock, random });
    this.installation = shared?.installation;
    this.cacheServer = cacheServer ?? shared?.cache ?? new EmbeddedCacheServer({ clock });
  }

  /** Creates what is embedded and a run's database, and connects to the Redis that is named. */
  static async open(clock: Clock, random: Random, options: EmbeddedPartsOptions = {}): Promise<EmbeddedParts> {
    const { cache, database, installation } = options.shared ?? {};
    const run =
      database === undefined || installation === undefined
        ? undefined
        : await RunDatabase.create(database, installation);
    try {
      const server = run?.address;
      const opened = await ForecastDatabase.open({
        name: 'forecasts',
        server,
        migrate: true,
        cache,
        installation,
        clock,
      });
      return new EmbeddedParts(clock, random, options, opened, run);
    } catch (error) {
      await run?.close();
      throw error;
    }
  }

  /** One sentence for the start: what is in this process and what is not. */
  describe(): string {
    const embedded = [
      ...(this.run === undefined ? ['database'] : []),
      ...(this.broker instanceof InProcessBroker ? ['broker'] : []),
      ...(this.cacheServer instanceof EmbeddedCacheServer ? ['cache'] : []),
    ];
    const servers = [
      ...(this.broker instanceof InProcessBroker
        ? []
        : [`Pulsar is at ${this.broker.url}, namespace ${this.broker.namespace}, topics ${this.installation}-*`]),
      ...(this.cacheServer instanceof EmbeddedCacheServer ? [] : [`Redis is there, keys {${this.installation}-*}`]),
      ...(this.run === undefined ? [] : [`SQL Server is there, database ${this.installation}`]),
    ];
    const here = embedded.length === 0 ? [] : [`Embedded in this process: ${listed(embedded)}`];
    return [...here, ...servers].join('. ');
  }

  /** Closes them all; nobody may use them any more. */
  async close(): Promise<void> {
    if (this.broker instanceof InProcessBroker) {
      await this.broker.close();
    }
    if (this.cacheServer instanceof EmbeddedCacheServer) {
      this.cacheServer.close();
    }
    await this.opened.close();
    if (this.notifications instanceof EmbeddedDatabase) {
      await this.notifications.close();
    }
    await this.run?.close();
  }
}

/** `a, b and c`. */
function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
