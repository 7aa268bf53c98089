import type { OnModuleInit } from '@nestjs/common';
import { ConfigurationError, type ResilienceRegistry, type ShutdownCoordinator } from '@smartpulse/resilience';
import { withoutTransactions } from '../redis-cache.options.js';
import type { CacheConnection } from '../registry/cache.connection.js';
import type { CacheConnections } from '../registry/cache.connections.js';
import { DEFAULT_CONNECTION, pathOf } from '../registry/connection-options.js';
import { RedisTransactions } from './redis.transactions.js';
import { TransactionsTelemetry } from './transactions.telemetry.js';
import { transactionBounds } from './transaction-options.js';

/** The name of the policy that has the places; that of another connection than the default one has its name behind it. */
const PLACES = 'redis-cache.transactions';

/** The transactions of an app, for those connections for which somebody wants them; ended with the clients. */
export class TransactionsByConnection implements OnModuleInit {
  readonly #transactions = new Map<string, RedisTransactions>();
  readonly #telemetry: TransactionsTelemetry;

  constructor(
    private readonly connections: CacheConnections,
    private readonly policies: ResilienceRegistry,
    shutdown: Pick<ShutdownCoordinator, 'register'>,
  ) {
    this.#telemetry = new TransactionsTelemetry(() =>
      [...this.#transactions].map(([name, transactions]) => [connections.get(name).attributes, transactions]),
    );
    shutdown.register({
      name: 'redis-cache transactions',
      phase: 'clients',
      stop: async () => {
        this.#telemetry.stop();
        await Promise.all(Array.from(this.#transactions.values(), (transactions) => transactions.close()));
      },
    });
  }

  onModuleInit(): void {
    this.#telemetry.start();
  }

  /**
   * The transactions of a connection; made on the first call, without connecting.
   *
   * @param name default: those of the default one.
   * @throws ConfigurationError when there is no such connection, or it leads to no Redis.
   */
  get(name: string = DEFAULT_CONNECTION): RedisTransactions {
    const known = this.#transactions.get(name);
    if (known !== undefined) {
      return known;
    }
    const made = this.#make(this.connections.get(name));
    this.#transactions.set(name, made);
    return made;
  }

  #make({ name, options, prefix, transactionServers, clock, random }: CacheConnection): RedisTransactions {
    if (transactionServers === undefined) {
      const problem = withoutTransactions(options) ?? 'transactions need a Redis';
      throw new ConfigurationError(
        'RedisTransactions',
        [{ option: `${pathOf(name)}${options.store === undefined ? 'url' : 'store'}`, problem }],
        'Inject the transactions of a connection that leads to a Redis, or none.',
      );
    }
    const bounds = transactionBounds(options.transactions);
    const places = this.policies.create(name === DEFAULT_CONNECTION ? PLACES : `${PLACES}.${name}`, {
      retry: false,
      // What a run fails with is often the work's own affair, and an outage costs each run one wait.
      breaker: false,
      bulkhead: { limit: bounds.maxConnections, queueLimit: bounds.maxWaiting },
    });
    return new RedisTransactions({ servers: transactionServers, prefix, options: bounds, places, clock, random });
  }
}
