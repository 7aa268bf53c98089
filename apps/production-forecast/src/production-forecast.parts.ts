import { type TrackerTuning } from '@smartpulse/cdc';
import { type EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type OutsideCopy } from '@smartpulse/data-sync';
import { type PulsarModuleOptions } from '@smartpulse/pulsar';
import { type InProcessBroker } from '@smartpulse/pulsar/in-process';
import { type EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type CacheNamespaceOptions } from '@smartpulse/redis-cache';
import { type DayForecast } from './latest/day-forecast.js';

/** What a replica does besides reading. `write`: saves. `publish`: follows the tables. `apply`: keeps the cache right. */
export type ProductionForecastRole = 'write' | 'publish' | 'apply';

/** All roles: one replica that does everything. */
export const ALL_ROLES: readonly ProductionForecastRole[] = Object.freeze(['write', 'publish', 'apply'] as const);

/** Where a broker is that outlives the process: each replica makes a connection of its own and closes it. */
export type BrokerAddress = Pick<PulsarModuleOptions, 'url' | 'namespace' | 'token'>;

/** A SQL Server. The address may carry a password and is told to nobody. */
export interface DatabaseAddress {
  /** `mssql://user:password@host:1433/database?encrypt=true&trustServerCertificate=false`. */
  readonly url: string;
}

/** A Redis. The address may carry a password and is told to nobody. */
export interface CacheAddress {
  /** `redis://[user:password@]host[:port][/database]`, or another form of `RedisCacheModuleOptions.url`. */
  readonly url: string;
  /** Freeze what readers share, so that a mistaken change fails at once; it costs time where values are large. Default `true`. */
  readonly freeze?: boolean | undefined;
}

/**
 * What a replica of the app is made of. The parts are borrowed: several replicas and apps of one process may share them, and whoever made
 * them closes them, after the apps.
 */
export interface ProductionForecastParts {
  /** Holds the tables: embedded in this process, or a SQL Server that `ForecastDatabase` has seen. */
  readonly database: EmbeddedDatabase | DatabaseAddress;
  /** Carries changes and events: one in this process, or the address of another one. */
  readonly broker: InProcessBroker | BrokerAddress;
  /**
   * Tells this installation apart from others on the same broker and cache: it begins the names of topics and of cache keys. Letters, digits,
   * dashes. Default: none.
   */
  readonly installation?: string | undefined;
  /** The second level of the cache, and the backplane between replicas: one in this process, or the address of a Redis. */
  readonly cacheServer: EmbeddedCacheServer | CacheAddress;
  /** What is known of the database outside of it; see `ForecastDatabase`. Default: nothing. */
  readonly outside?: OutsideCopy | undefined;
  /** Default: {@link ALL_ROLES}. Without `write` there is no way to save here. */
  readonly roles?: readonly ProductionForecastRole[] | undefined;
  /** Names the replica: unique among those that share a database or a cache. Default `main`. */
  readonly replica?: string | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's. */
  readonly random?: Random | undefined;
  /** Lives and bounds of the cached days; see `defineCache`. */
  readonly cache?:
    | Pick<
        CacheNamespaceOptions<DayForecast>,
        'l1TtlMs' | 'l2TtlMs' | 'negativeTtlMs' | 'maxEntries' | 'leaseMs' | 'untrusted'
      >
    | undefined;
  /** How eagerly tables are followed; see `CdcModule`. */
  readonly tracker?: TrackerTuning | undefined;
}
