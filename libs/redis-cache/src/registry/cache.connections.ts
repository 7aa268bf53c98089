import { Logger } from '@nestjs/common';
import { type Clock, ConfigurationError, type Random, type ResilienceRegistry } from '@smartpulse/resilience';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';
import { REDIS_CACHE_DEFAULTS, type RedisCacheModuleOptions } from '../redis-cache.options.js';
import { CacheConnection } from './cache.connection.js';
import { connectionsOf, DEFAULT_CONNECTION } from './connection-options.js';

/** The connections of an app, by name. */
export class CacheConnections {
  readonly #connections: ReadonlyMap<string, CacheConnection>;

  private constructor(connections: readonly CacheConnection[]) {
    this.#connections = new Map(connections.map((connection) => [connection.name, connection]));
  }

  /**
   * Opens them all, or none: where one cannot be opened, those that could are closed again.
   *
   * @throws CacheStoreUnavailableError that names the connection, when there are several; RedisClientMissingError without its package.
   */
  static async open(
    options: RedisCacheModuleOptions,
    clock: Clock,
    random: Random,
    policies: ResilienceRegistry,
  ): Promise<CacheConnections> {
    const { nodeId = random.id(), freeze = REDIS_CACHE_DEFAULTS.freeze } = options;
    const described = connectionsOf(options);
    const attempts = await Promise.allSettled(
      [...described].map(async ([name, own]) => {
        try {
          return await CacheConnection.open(name, own, { nodeId, freeze, clock, random, policies });
        } catch (error) {
          throw described.size === 1 ? error : named(name, error);
        }
      }),
    );
    const opened = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    const [failure, ...others]: readonly unknown[] = attempts.flatMap((attempt) =>
      attempt.status === 'rejected' ? [attempt.reason] : [],
    );
    if (failure === undefined) {
      return new CacheConnections(opened);
    }
    await Promise.all(opened.map((connection) => connection.close()));
    others.forEach((other) => new Logger('RedisCacheModule').error(String(other)));
    throw failure;
  }

  /** @throws ConfigurationError that lists those that there are. */
  get(name: string = DEFAULT_CONNECTION): CacheConnection {
    const connection = this.#connections.get(name);
    if (connection === undefined) {
      throw new ConfigurationError(
        'RedisCacheModule.forFeature',
        [{ option: 'connection', problem: `"${name}" is none of ${[...this.#connections.keys()].join(', ')}` }],
        'Name one of those, or add it to the option "connections" of RedisCacheModule.forRoot.',
      );
    }
    return connection;
  }

  /** The default one is the first. */
  list(): readonly CacheConnection[] {
    return [...this.#connections.values()];
  }

  /** Closes what they made themselves; what they were handed stays open. */
  async close(): Promise<void> {
    await Promise.all(this.list().map((connection) => connection.close()));
  }
}

/** Who runs several servers wants to know which one. */
function named(connection: string, error: unknown): unknown {
  return CacheStoreUnavailableError.is(error)
    ? new CacheStoreUnavailableError(`${error.operation}, connection "${connection}"`, error.cause)
    : error;
}
